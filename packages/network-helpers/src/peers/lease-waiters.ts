import { abortError, NetworkError } from "../errors.ts";
import type { LeaseRefusal } from "./effects.ts";

interface Waiter<C> {
  resolve(connection: C): void;
  reject(error: NetworkError): void;
}

/** Those who wait for a connection, by the numbers of their leases. */
export class LeaseWaiters<C> {
  readonly #waiters = new Map<number, Waiter<C>>();

  /** Waits until the lease is granted or refused, or `signal` aborts; calls `cancel` in that case. */
  wait(lease: number, options: { readonly peer: string; readonly signal: AbortSignal; cancel(): void }): Promise<C> {
    const { peer, signal } = options;
    return new Promise((resolve, reject) => {
      const abort = (): void => {
        this.#waiters.delete(lease);
        options.cancel();
        reject(abortError(signal, peer, "waiting for a connection"));
      };
      const settle = (act: () => void): void => {
        this.#waiters.delete(lease);
        signal.removeEventListener("abort", abort);
        act();
      };
      this.#waiters.set(lease, {
        resolve: (connection) => settle(() => resolve(connection)),
        reject: (error) => settle(() => reject(error)),
      });
      if (signal.aborted) abort();
      else signal.addEventListener("abort", abort, { once: true });
    });
  }

  /** False when nobody waits for it any more. */
  grant(lease: number, connection: C): boolean {
    const waiter = this.#waiters.get(lease);
    waiter?.resolve(connection);
    return waiter !== undefined;
  }

  /** Says no, and why. A NetworkError of the dial is passed on as it is. */
  refuse(
    lease: number,
    refusal: { readonly peer: string; readonly reason: LeaseRefusal; readonly error?: Error },
  ): void {
    const { peer, reason, error } = refusal;
    const { code, why } = refusals[reason];
    const made = new NetworkError(code, { peer, message: `${peer}: ${why}`, cause: error });
    this.#waiters.get(lease)?.reject(error instanceof NetworkError ? error : made);
  }
}

const refusals = {
  "no-slot": {
    code: "refused",
    why: "not dialled, all connections to peers are in use; raise max_connections or try again later",
  },
  "breaker-open": {
    code: "breaker-open",
    why: "not dialled, it has failed too often; it is tried again after a while, see the log for the failures",
  },
  "dial-failed": { code: "connection-failed", why: "could not be dialled, see the cause" },
  "too-many-peers": { code: "refused", why: "not dialled, too many peers are known already; try again later" },
  stopped: { code: "closed", why: "not dialled, this side is stopping" },
} as const satisfies Record<LeaseRefusal, { readonly code: NetworkError["code"]; readonly why: string }>;
