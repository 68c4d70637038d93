import { CodecError } from "./codec-error.ts";
import { MAX_PAYLOAD } from "./frame.ts";
import { Reader } from "./reader.ts";
import { decodeUtf8, encodeUtf8 } from "./utf8.ts";
import { Writer } from "./writer.ts";

/** Extension 0x0001, extensions negotiation: defines messages of its own. */
export const EXTENSIONS_NEGOTIATION = 0x0001;

/** Extension 0x0002, worker-specific hashrate tracking: adds a TLV field to SubmitSharesExtended. */
export const WORKER_HASHRATE_TRACKING = 0x0002;

/** Most TLV fields a message may carry. The specification sets no limit; its extensions define one field so far. */
export const MAX_TLVS = 64;

/** An optional field that an extension appends to a message (spec 3.4.3). */
export interface Tlv {
  /** The extension that defines the field. */
  readonly extensionType: number;
  /** Number of the field within its extension. */
  readonly fieldType: number;
  /** 0 to 65,535 bytes; a view when decoded. */
  readonly value: Uint8Array;
}

/**
 * Byte order of a TLV's type and length. The specification's prose says U16, which is little-endian (3.1), and its
 * example bytes are big-endian (3.4.3); SRI follows the prose. Adit writes the example's order unless told otherwise,
 * and reads both.
 */
export type TlvByteOrder = "big" | "little";

/**
 * Decodes the TLV fields behind a message, in the order they come, unknown ones included. Bytes that do not parse as
 * big-endian to the last byte are tried as little-endian. Throws CodecError `bad-tlv` when neither fits.
 */
export function decodeTlvs(bytes: Uint8Array): readonly Tlv[] {
  return readTlvs(bytes, "tlv");
}

/** {@link decodeTlvs} that names the message in its error. */
export function readTlvs(bytes: Uint8Array, at: string): readonly Tlv[] {
  const tlvs = parse(bytes, "big") ?? parse(bytes, "little");
  if (tlvs === undefined) throw new CodecError("bad-tlv", at);
  return tlvs;
}

/**
 * Encodes TLV fields ordered by extension type, fields of one extension in the order given (spec 3.4.3). Throws
 * CodecError `value-out-of-range`, or `bad-tlv` for more than {@link MAX_TLVS}.
 */
export function encodeTlvs(tlvs: readonly Tlv[], byteOrder: TlvByteOrder = "big"): Uint8Array {
  const writer = new Writer(MAX_PAYLOAD);
  writer.start("tlv");
  writeTlvs(writer, tlvs, byteOrder);
  return writer.finish();
}

/** {@link encodeTlvs} at the writer's position. */
export function writeTlvs(writer: Writer, tlvs: readonly Tlv[], byteOrder: TlvByteOrder): void {
  if (tlvs.length > MAX_TLVS) throw writer.fault("bad-tlv");
  const littleEndian = byteOrder === "little";
  for (const tlv of tlvs.toSorted((a, b) => a.extensionType - b.extensionType)) {
    writer.uint16(tlv.extensionType, littleEndian);
    writer.uint8(tlv.fieldType);
    writer.uint16(tlv.value.length, littleEndian);
    writer.bytes(tlv.value);
  }
}

const USER_IDENTITY = 0x01;
const MAX_WORKER_IDENTITY = 32;

/**
 * The worker's name as the TLV that extension 0x0002 appends to SubmitSharesExtended. Throws a RangeError when it is
 * not well-formed or longer than 32 bytes of UTF-8.
 */
export function workerIdentityTlv(userIdentity: string): Tlv {
  const value = encodeUtf8(userIdentity);
  if (value === undefined || value.length > MAX_WORKER_IDENTITY) {
    throw new RangeError(
      `a worker identity is at most ${MAX_WORKER_IDENTITY} bytes of UTF-8; shorten the worker's name`,
    );
  }
  return { extensionType: WORKER_HASHRATE_TRACKING, fieldType: USER_IDENTITY, value };
}

/** The TLVs of a share: {@link workerIdentityTlv}, or none where the worker's name is not told. */
export function workerTlvs(userIdentity: string | undefined): readonly Tlv[] {
  return userIdentity === undefined ? [] : [workerIdentityTlv(userIdentity)];
}

/**
 * The worker's name among a message's TLVs, undefined when there is none. Throws CodecError `bad-tlv` when it is
 * repeated or longer than 32 bytes, `not-utf8` when it is not a string: the message must then be rejected (spec 3.4.3).
 */
export function readWorkerIdentity(tlvs: readonly Tlv[]): string | undefined {
  const found = tlvs.filter((tlv) => tlv.extensionType === WORKER_HASHRATE_TRACKING && tlv.fieldType === USER_IDENTITY);
  const [tlv] = found;
  if (tlv === undefined) return undefined;
  const at = "SubmitSharesExtended.tlv.userIdentity";
  if (found.length > 1 || tlv.value.length > MAX_WORKER_IDENTITY) throw new CodecError("bad-tlv", at);
  try {
    return decodeUtf8(tlv.value);
  } catch (cause) {
    throw new CodecError("not-utf8", at, { cause });
  }
}

const TLV_HEADER_SIZE = 5;

/** Undefined unless the bytes are TLV fields to the last one. */
function parse(bytes: Uint8Array, byteOrder: TlvByteOrder): readonly Tlv[] | undefined {
  const reader = new Reader(bytes, "tlv");
  const littleEndian = byteOrder === "little";
  const tlvs: Tlv[] = [];
  while (reader.remaining > 0) {
    if (reader.remaining < TLV_HEADER_SIZE || tlvs.length === MAX_TLVS) return undefined;
    const extensionType = reader.uint16(littleEndian);
    const fieldType = reader.uint8();
    const length = reader.uint16(littleEndian);
    if (length > reader.remaining) return undefined;
    tlvs.push({ extensionType, fieldType, value: reader.bytes(length) });
  }
  return tlvs;
}
