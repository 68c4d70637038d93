import { hex } from "@scure/base";
import { NetworkError } from "../errors.ts";

/** The one version of the frame there is. */
const RPC_VERSION = 1;

/** Bytes before the payload: version u8, type u8, request_id 16 bytes, payload_len u32 little-endian, as all of SV2. */
export const RPC_HEADER_SIZE = 22;

const ID_AT = 2;
const LENGTH_AT = 18;

/** The number of each frame type on the wire (docs/decisions/0024-rpc.md says who sends which, and what it carries). */
export const frameTypes = {
  request: 1,
  response: 2,
  data: 3,
  error: 4,
  keepAlive: 5,
  cancel: 6,
  credit: 7,
  goodbye: 8,
} as const;

/** One of {@link frameTypes}. */
export type FrameType = keyof typeof frameTypes;

const typeNames = new Map<number, FrameType>(
  Object.entries(frameTypes).map(([name, number]) => [number, name as FrameType]),
);

/** A request id: 16 bytes as 32 lower-case hex digits, in the order they have on the wire. The caller makes it up. */
export type CallId = string;

/** The id of frames that belong to the connection and not to a call. */
export const NO_CALL: CallId = "0".repeat(32);

/** One frame. */
export interface RpcFrame {
  readonly type: FrameType;
  readonly id: CallId;
  /** JSON in UTF-8, or empty. */
  readonly payload: Uint8Array;
}

/** A frame's header. */
export interface RpcHeader {
  readonly type: FrameType;
  readonly id: CallId;
  /** Bytes of payload that follow. */
  readonly length: number;
}

/** A request id of 16 bytes. */
export function callId(bytes: Uint8Array): CallId {
  if (bytes.length !== LENGTH_AT - ID_AT) throw new RangeError(`a request id has 16 bytes, got ${bytes.length}`);
  return hex.encode(bytes);
}

/** A frame for the wire. */
export function encodeRpcFrame({ type, id, payload }: RpcFrame): Uint8Array {
  const bytes = new Uint8Array(RPC_HEADER_SIZE + payload.length);
  bytes[0] = RPC_VERSION;
  bytes[1] = frameTypes[type];
  bytes.set(hex.decode(id), ID_AT);
  new DataView(bytes.buffer).setUint32(LENGTH_AT, payload.length, true);
  bytes.set(payload, RPC_HEADER_SIZE);
  return bytes;
}

/**
 * Reads the {@link RPC_HEADER_SIZE} bytes before a payload of at most `maxPayload` bytes. Throws NetworkError:
 * "protocol-violation" for another version, a type that does not exist, or a call's frame without a call;
 * "frame-too-large".
 */
export function decodeRpcHeader(
  bytes: Uint8Array,
  { peer, maxPayload }: { readonly peer: string; readonly maxPayload: number },
): RpcHeader {
  const [version, number = 0] = bytes;
  if (version !== RPC_VERSION) {
    throw violation(peer, `speaks version ${version} of the RPC frame, this side speaks ${RPC_VERSION}; update one`);
  }
  const type = typeNames.get(number);
  if (type === undefined) throw violation(peer, `sent an RPC frame of type ${number}, which does not exist`);
  const id = hex.encode(bytes.subarray(ID_AT, LENGTH_AT));
  if ((id === NO_CALL) !== (type === "keepAlive" || type === "goodbye")) {
    throw violation(peer, `sent a ${type} frame with the request id ${id}`);
  }
  const length = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getUint32(LENGTH_AT, true);
  if (length > maxPayload) {
    const message = `${peer}: announced an RPC payload of ${length} bytes, at most ${maxPayload} are allowed; it is disconnected`;
    throw new NetworkError("frame-too-large", { peer, message });
  }
  return { type, id, length };
}

/** What a peer that breaks the protocol is disconnected with. */
export function violation(peer: string, what: string, cause?: unknown): NetworkError {
  return new NetworkError("protocol-violation", { peer, message: `${peer}: ${what}; it is disconnected`, cause });
}
