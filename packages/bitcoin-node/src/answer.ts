import { hashFromDisplay } from "@adit/bitcoin";
import { z } from "zod";
import { NodeError } from "./errors.ts";
import { bytesOfHex } from "./fast-hex.ts";
import type { CallSite } from "./node-faults.ts";

/** A hash as a node writes it. */
export const displayedHash = z
  .string()
  .regex(/^[0-9a-f]{64}$/)
  .transform((text) => hashFromDisplay(text));

/** Bytes as a node writes them. */
export const hexBytes = z.string().transform((text, context) => {
  try {
    return bytesOfHex(text);
  } catch (error) {
    context.issues.push({ code: "custom", message: (error as Error).message, input: text });
    return z.NEVER;
  }
});

/** An unsigned 32-bit integer. */
export const uint32 = z.int().min(0).max(0xffff_ffff);

/** An amount in satoshi, at most all the money there is. */
export const satoshi = z.int().min(0).max(2_100_000_000_000_000).transform(BigInt);

/** A number of something, from 0. */
export const count = z.int().min(0);

/**
 * A call's result by its schema.
 *
 * @throws NodeError `bad-response` that names the first field that does not fit.
 */
export function fitting<Schema extends z.ZodType>(schema: Schema, result: unknown, site: CallSite): z.output<Schema> {
  const parsed = schema.safeParse(result);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const where = issue === undefined || issue.path.length === 0 ? "the result" : issue.path.join(".");
  throw unusable(`${where}: ${issue?.message ?? "invalid"}`, site, parsed.error);
}

/** The fault of a result that cannot be used; `what` says which part. */
export function unusable(what: string, site: CallSite, cause?: unknown): NodeError {
  const message = `the answer cannot be used (${what}); use Bitcoin Core 28 or later`;
  return new NodeError("bad-response", { ...site, message, cause });
}
