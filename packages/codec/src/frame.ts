import { CodecError } from "./codec-error.ts";
import { Reader } from "./reader.ts";
import { Writer } from "./writer.ts";

/** Bytes of a frame header (spec 3.2). */
export const HEADER_SIZE = 6;

/** Most bytes a payload can have: its length is a U24 (spec 3.2). */
export const MAX_PAYLOAD = 0xffffff;

/** The bit of the header's extension_type that says the payload starts with a channel id (spec 3.2.1). */
export const CHANNEL_MSG = 0x8000;

/** The six bytes in front of every payload (spec 3.2). */
export interface FrameHeader {
  /** The extension that defines the message, 0 for the core protocols; without the channel bit. */
  readonly extensionType: number;
  /** Whether the payload's first four bytes are the id of the channel it is for. */
  readonly channelMsg: boolean;
  /** Number of the message within its extension. */
  readonly messageType: number;
  /** Bytes of the payload. */
  readonly length: number;
}

/** One frame, its header taken apart. */
export interface Frame {
  /** The extension that defines the message, 0 for the core protocols; without the channel bit. */
  readonly extensionType: number;
  /** Whether the payload's first four bytes are the id of the channel it is for. */
  readonly channelMsg: boolean;
  /** Number of the message within its extension. */
  readonly messageType: number;
  /** The message and the TLV fields behind it. */
  readonly payload: Uint8Array;
}

/** Encodes a header into {@link HEADER_SIZE} bytes. Throws CodecError `value-out-of-range`. */
export function encodeHeader(header: FrameHeader): Uint8Array {
  const writer = new Writer(HEADER_SIZE);
  writeHeader(writer, header);
  return writer.finish();
}

/** Decodes the first {@link HEADER_SIZE} bytes. Throws CodecError `short-read` when there are fewer. */
export function decodeHeader(bytes: Uint8Array): FrameHeader {
  const reader = new Reader(bytes, "header");
  if (reader.remaining < HEADER_SIZE) throw reader.fault("short-read");
  const extensionType = reader.uint16();
  return {
    extensionType: extensionType & ~CHANNEL_MSG,
    channelMsg: (extensionType & CHANNEL_MSG) !== 0,
    messageType: reader.uint8(),
    length: reader.uint24(),
  };
}

/** Writes a header at the writer's position. */
export function writeHeader(writer: Writer, header: FrameHeader): void {
  writer.at = "header";
  if (header.extensionType >= CHANNEL_MSG) throw new CodecError("value-out-of-range", "header");
  writer.uint16(header.channelMsg ? header.extensionType | CHANNEL_MSG : header.extensionType);
  writer.uint8(header.messageType);
  writer.uint24(header.length);
}
