import type { Batch } from "./sqlite-database.ts";

/** What the store's thread is asked, without its number. */
export type Call =
  | { readonly type: "open" }
  | { readonly type: "commit"; readonly batch: Batch }
  | { readonly type: "workers" }
  | { readonly type: "blocks"; readonly limit: number }
  | { readonly type: "open-blocks"; readonly limit: number }
  | { readonly type: "totals" }
  | { readonly type: "work-between"; readonly from: number; readonly to: number }
  | { readonly type: "audit" }
  | { readonly type: "close" };

/** A numbered call. */
export type Request = Call & { readonly id: number };

/** The answer to the request of the same number. */
export type Reply =
  | { readonly id: number; readonly ok: true; readonly value: unknown }
  | { readonly id: number; readonly ok: false; readonly error: { readonly code: string; readonly message: string } };
