/**
 * Waits for a native promise no longer than `signal` allows, and then rejects with its reason. The native work cannot be
 * cancelled: a value that still comes goes to `discard`, an error that still comes is dropped.
 */
export function orAbort<T>(pending: Promise<T>, signal: AbortSignal, discard: (late: T) => void): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(signal.reason as Error);
    const settle = (act: () => void): void => {
      signal.removeEventListener("abort", abort);
      act();
    };
    pending.then(
      (value) => settle(() => (signal.aborted ? discard(value) : resolve(value))),
      (error: unknown) => settle(() => reject(error)),
    );
    if (signal.aborted) abort();
    else signal.addEventListener("abort", abort, { once: true });
  });
}
