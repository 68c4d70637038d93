import type { NetworkError } from "../errors.ts";
import type { CallId, RpcFrame } from "./frame.ts";
import type { LinkEffect } from "./link.ts";
import type { RpcError } from "./rpc-error.ts";

/** A call to make. */
export interface CallRequest {
  /** Never used before on this connection. */
  readonly id: CallId;
  readonly service: string;
  readonly method: string;
  readonly kind: "call" | "stream";
  readonly input: unknown;
  /** From now on, in milliseconds; null for the longest there is, which for a stream is none. */
  readonly deadlineMs: number | null;
}

/** What reaches the calling side. Ids of calls that are over are ignored. */
export type ClientInput =
  | { readonly type: "call"; readonly request: CallRequest }
  | { readonly type: "cancel"; readonly id: CallId }
  /** The reader of a stream has taken an item of so many bytes, as the `item` effect counted them. */
  | { readonly type: "consumed"; readonly id: CallId; readonly bytes: number }
  | { readonly type: "frame"; readonly frame: RpcFrame }
  | { readonly type: "written"; readonly bytes: number }
  /** No calls will follow; the connection ends with those under way. */
  | { readonly type: "goodbye"; readonly reason: string }
  /** The stream has ended, or broken with an error. */
  | { readonly type: "lost"; readonly error: NetworkError | null }
  | { readonly type: "tick" };

/** What the calling side does. */
export type ClientEffect =
  | LinkEffect
  | { readonly type: "item"; readonly id: CallId; readonly value: unknown; readonly bytes: number }
  /** Comes once for each call, and is the last of it. */
  | { readonly type: "ended"; readonly id: CallId; readonly outcome: { readonly output: unknown } | RpcError };
