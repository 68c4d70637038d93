import type { MessagePort } from "node:worker_threads";
import type { Slice } from "../work/work-scheduler.ts";

/** What a hashing thread is started with. */
export interface ThreadStart {
  /** Carries {@link ToThread} in and {@link FromThread} out. */
  readonly port: MessagePort;
  /** One 32-bit word that is raised and notified after each message to the thread, which sleeps on it. */
  readonly bell: Int32Array;
  /** Hashes a second this thread may do; 0 for no limit. */
  readonly hashrateLimit: number;
}

/** What a hashing thread is told. */
export type ToThread =
  | { readonly type: "hash"; readonly slice: Slice }
  | { readonly type: "cancel"; readonly slice: number };

/** What a hashing thread tells. */
export type FromThread =
  | { readonly type: "ready" }
  | { readonly type: "found"; readonly slice: number; readonly nonce: number }
  | { readonly type: "done"; readonly slice: number; readonly hashes: number; readonly ms: number };
