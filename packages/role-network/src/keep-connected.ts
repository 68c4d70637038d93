import { setTimeout as sleep } from "node:timers/promises";
import { Backoff } from "@adit/network-helpers";

/** Where a client role stands with its upstream. */
export type UpstreamState =
  | { readonly state: "connecting" }
  | { readonly state: "connected" }
  | { readonly state: "waiting"; readonly reason: string; readonly retryInMs: number };

/** What {@link keepConnected} keeps up. */
export interface KeepConnectedOptions {
  /** One try: dials, calls `connected` once it serves, and resolves or rejects when the connection has ended. */
  readonly attempt: (connected: () => void) => Promise<void>;
  readonly onState: (state: UpstreamState) => void;
  /** Asked when a connection that worked has ended: a promise to wait for while nobody needs another. */
  readonly idle?: () => Promise<void> | undefined;
  readonly signal: AbortSignal;
  /** First and longest pause between tries, in milliseconds; every pause is drawn between zero and its bound. */
  readonly minMs?: number;
  readonly maxMs?: number;
}

/** A connection that lasted this long starts the pauses over. */
const STEADY_MS = 60_000;

/**
 * Tries again whenever the connection ends, with exponential backoff and full jitter, until the signal aborts. A peer
 * that is gone is a state, never the end of the role.
 */
export async function keepConnected(options: KeepConnectedOptions): Promise<void> {
  const { attempt, onState, signal } = options;
  const backoff = new Backoff({ minMs: options.minMs ?? 500, maxMs: options.maxMs ?? 30_000, random: Math.random });
  while (!signal.aborted) {
    let connectedAt: number | undefined;
    let reason = "the peer ended the connection";
    onState({ state: "connecting" });
    try {
      await attempt(() => {
        connectedAt = performance.now();
        onState({ state: "connected" });
      });
    } catch (error) {
      reason = error instanceof Error ? error.message : String(error);
    }
    if (signal.aborted) return;
    if (connectedAt !== undefined && performance.now() - connectedAt > STEADY_MS) backoff.reset();
    const idle = connectedAt === undefined ? undefined : options.idle?.();
    if (idle !== undefined) {
      await idle;
      continue;
    }
    const retryInMs = backoff.next();
    onState({ state: "waiting", reason, retryInMs });
    await sleep(retryInMs, undefined, { signal }).catch(() => {});
  }
}
