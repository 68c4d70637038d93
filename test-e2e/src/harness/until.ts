import { setTimeout as pause } from "node:timers/promises";

const POLL_MS = 50;

/**
 * Asks again and again until the answer is neither undefined nor false, and returns it. A probe that throws has no answer
 * yet. Rejects after `timeoutMs` with what was awaited and why the last probe failed.
 */
export async function until<T>(
  what: string,
  probe: () => T | Promise<T>,
  timeoutMs = 60_000,
): Promise<Exclude<T, undefined | false>> {
  const deadline = performance.now() + timeoutMs;
  let last: unknown;
  while (performance.now() < deadline) {
    try {
      const answer = await probe();
      if (answer !== undefined && answer !== false) return answer as Exclude<T, undefined | false>;
      last = undefined;
    } catch (error) {
      last = error;
    }
    await pause(POLL_MS);
  }
  throw new Error(`waited ${timeoutMs} ms in vain: ${what}`, { cause: last });
}
