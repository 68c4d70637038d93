import type { NetworkError } from "../errors.ts";
import type { CallId, RpcFrame } from "./frame.ts";
import type { LinkEffect } from "./link.ts";
import type { RpcErrorCode } from "./rpc-error.ts";

/** How a call ended. */
export type Outcome =
  | { readonly output: unknown }
  | { readonly error: { readonly code: RpcErrorCode; readonly message: string } };

/** What reaches the serving side. Ids are those of `start` effects; for calls that are over they are ignored. */
export type ServerInput =
  | { readonly type: "frame"; readonly frame: RpcFrame }
  /** A stream's handler has its next item, after a `pull`. */
  | { readonly type: "item"; readonly id: CallId; readonly value: unknown }
  /** A handler is over. Due once for each `start`, also after an `abort`. */
  | { readonly type: "settled"; readonly id: CallId; readonly outcome: Outcome }
  | { readonly type: "written"; readonly bytes: number }
  /** This side stops: streams end, calls under way may finish, new ones are refused. */
  | { readonly type: "goodbye"; readonly reason: string }
  /** The stream has ended, or broken with an error. */
  | { readonly type: "lost"; readonly error: NetworkError | null }
  | { readonly type: "tick" };

/** What the serving side does. */
export type ServerEffect =
  | LinkEffect
  | {
      readonly type: "start";
      readonly id: CallId;
      readonly service: string;
      readonly method: string;
      readonly input: unknown;
    }
  /** Ask the stream's handler for its next item. */
  | { readonly type: "pull"; readonly id: CallId }
  /** Nobody wants the result any more. */
  | { readonly type: "abort"; readonly id: CallId; readonly code: RpcErrorCode };

/** What the serving side is told of a method. */
export type MethodKind = "call" | "stream";
