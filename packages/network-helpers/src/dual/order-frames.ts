import { encodeHeader, type Frame, type FrameHeader, HEADER_SIZE } from "@adit/codec";

/**
 * The extension type of the frames that keep two streams together, of the range for experiments (spec 3.4). They never leave
 * the pair of streams: what the protocol name (ALPN) stands for is the negotiation, and no message of that type is let through.
 */
const TWO_STREAMS = 0x4d32;
/** The first frame of a data stream, from whoever opened it. No payload. */
const HELLO = 0x00;
/** Payload: U64, the frames of the other stream that come before what follows on this one. */
const ORDER = 0x01;
const ORDER_SIZE = 8;

/** What a frame of that type says. */
export type OrderFrame = { readonly kind: "hello" } | { readonly kind: "order"; readonly after: number };

/** Opens a data stream. */
export const helloFrame: Uint8Array = encodeHeader({
  extensionType: TWO_STREAMS,
  channelMsg: false,
  messageType: HELLO,
  length: 0,
});

/** The frame that says how many frames of the other stream come before what follows. */
export function orderFrame(after: number): Uint8Array {
  const frame = new Uint8Array(HEADER_SIZE + ORDER_SIZE);
  frame.set(encodeHeader({ extensionType: TWO_STREAMS, channelMsg: false, messageType: ORDER, length: ORDER_SIZE }));
  new DataView(frame.buffer).setBigUint64(HEADER_SIZE, BigInt(after), true);
  return frame;
}

/** Reads a frame; null for one that is not of this type, "nonsense" for one that is and says nothing. */
export function readOrderFrame({ extensionType, messageType, payload }: Frame): OrderFrame | "nonsense" | null {
  if (!isOrderFrame({ extensionType })) return null;
  if (messageType === HELLO && payload.length === 0) return { kind: "hello" };
  if (messageType !== ORDER || payload.length !== ORDER_SIZE) return "nonsense";
  const after = new DataView(payload.buffer, payload.byteOffset).getBigUint64(0, true);
  return after <= BigInt(Number.MAX_SAFE_INTEGER) ? { kind: "order", after: Number(after) } : "nonsense";
}

/** Whether a header is of this type, so that nobody above may send it. */
export function isOrderFrame({ extensionType }: Pick<FrameHeader, "extensionType">): boolean {
  return extensionType === TWO_STREAMS;
}
