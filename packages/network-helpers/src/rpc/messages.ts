import { z } from "zod";
import { printable } from "../errors.ts";
import { type FrameType, type RpcFrame, violation } from "./frame.ts";

const name = z.string().min(1).max(64);
const MAX_TEXT = 1024;
const text = z.string().transform((value) => printable(value, MAX_TEXT));
const MAX_BYTES = 2 ** 31 - 1;

/** What the payloads of frames hold that belong to the protocol. Unknown keys are left out: a later version may add some. */
const payloads = {
  request: z.object({
    service: name,
    method: name,
    /** From the arrival of the request; null for a stream that lives as long as its caller wants it. */
    deadline_ms: z.int().min(1).max(MAX_BYTES).nullable(),
    /** Bytes of stream data, frame headers included, that may come before the first credit. */
    window: z.int().min(0).max(MAX_BYTES),
    input: z.unknown(),
  }),
  error: z.object({ code: z.string().max(64), message: text }),
  credit: z.object({ bytes: z.int().min(1).max(MAX_BYTES) }),
  goodbye: z.object({ reason: text }),
} as const;

type Payloads = typeof payloads;

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true });
const EMPTY = new Uint8Array(0);

/** A payload: what JSON cannot say of a value (undefined) becomes null. Throws TypeError for what it cannot say at all. */
export function encodePayload(value: unknown): Uint8Array {
  return encoder.encode(JSON.stringify(value) ?? "null");
}

/** A protocol frame's payload. */
export function encodeMessage<T extends keyof Payloads>(_type: T, value: z.input<Payloads[T]>): Uint8Array {
  return encodePayload(value);
}

/** The payload of frames that carry none. */
export const noPayload: Uint8Array = EMPTY;

/** The JSON in a frame. Throws NetworkError "protocol-violation". */
export function decodePayload({ type, payload }: RpcFrame, peer: string): unknown {
  try {
    return JSON.parse(decoder.decode(payload));
  } catch (cause) {
    throw violation(peer, `sent a ${type} frame that is no JSON in UTF-8`, cause);
  }
}

/** A protocol frame's content. Throws NetworkError "protocol-violation". */
export function decodeMessage<T extends keyof Payloads & FrameType>(
  type: T,
  frame: RpcFrame,
  peer: string,
): z.output<Payloads[T]> {
  const schema: z.ZodType = payloads[type];
  const result = schema.safeParse(decodePayload(frame, peer));
  if (result.success) return result.data as z.output<Payloads[T]>;
  throw violation(peer, `sent a ${type} frame of another form than declared`, result.error);
}
