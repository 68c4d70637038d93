import type { ChoiceReason } from "@adit/network-helpers";
import type { ReconnectTarget } from "./reconnect.ts";

/** Where a client role stands with its upstream. */
export type UpstreamState =
  | { readonly state: "connecting" }
  | { readonly state: "connected" }
  | { readonly state: "waiting"; readonly reason: string; readonly retryInMs: number };

/** One connection that `keepConnected` asks for. */
export interface Attempt {
  /** Id of the route to dial. */
  readonly route: number;
  /** Where the peer over that route has asked to be reached instead; undefined for where it always is. */
  readonly to: ReconnectTarget | undefined;
  /** Aborts when the connection is not needed any more. */
  readonly signal: AbortSignal;
  /**
   * Call it once the connection is set up. Resolves when it is to serve, which may be long after, and never before the
   * connection that served until then has ended; rejects when it never is.
   */
  readonly stand: () => Promise<void>;
  /** Call it once it serves. */
  readonly connected: () => void;
  /** Call it once it serves no more, if that is before it ends: another may serve from then on. */
  readonly left: () => void;
  /** Call it when the peer asks to be reached elsewhere (spec 3.6.5). */
  readonly asked: (to: ReconnectTarget) => void;
}

/** Why a peer is not followed to where it asks to be reached. */
export type ReconnectRefusal = "not-in-use" | "under-way" | "too-often";

/** What becomes of a peer's wish to be reached elsewhere. Its host is the peer's own text. */
export type ReconnectNews = { readonly route: number; readonly to: ReconnectTarget } & (
  | { readonly type: "followed" }
  | { readonly type: "refused"; readonly refusal: ReconnectRefusal }
  /** The new connection serves, or is about to. */
  | { readonly type: "reconnected" }
  /** There is none; whoever asked serves on as long as it does. */
  | { readonly type: "failed"; readonly reason: string }
);

/** Another route serves from now on than before, or none does. */
export interface RouteChange {
  /** Id of a route; undefined for none. */
  readonly from: number | undefined;
  readonly to: number | undefined;
  /** `ended`: the one before has. */
  readonly reason: ChoiceReason | "ended";
  /** What it ended with; undefined for another reason. */
  readonly detail: string | undefined;
}
