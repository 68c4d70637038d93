import { encodeHeader, HEADER_SIZE, messageSets } from "@adit/codec";
import { bytes } from "../samples.ts";

const { SubmitSharesExtended, UpdateChannel, OpenExtendedMiningChannel } = messageSets.mining.rows;

/**
 * The frames of this benchmark, by the number of a message that takes the same stream where there are two: `data` that of shares
 * and jobs, `control` and `pour` the other. Nobody reads them as those messages. The server sends `data` and `control` back, and
 * begins to send `data` at a `pour`.
 */
export const frameTypes = {
  data: numberOf(SubmitSharesExtended),
  control: numberOf(UpdateChannel),
  pour: numberOf(OpenExtendedMiningChannel),
} as const;

/** Bytes of a small frame, on the wire without encryption. */
export const SMALL = 100;
/** The same of a large one. */
const BULK = 64 * 1024;
/** Longest payload of a frame of this benchmark. */
export const MAX_FRAME_PAYLOAD: number = BULK;

/** What the server sends without an end: `batch` frames of `size` bytes with one call of the writer, then nothing for a while. */
export interface Load {
  readonly size: number;
  readonly batch: number;
  /** 0 sends on as soon as the writer is ready. */
  readonly pauseMs: number;
}

/** Every load that a client asks for. */
const loads = {
  /** What a translator with some five thousand miners sends and gets: 500 frames a second. */
  shares: { size: SMALL, batch: 5, pauseMs: 10 },
  /** As many small ones as go through; 64 a call, as from a queue that has fallen behind. */
  small: { size: SMALL, batch: 64, pauseMs: 0 },
  /** As many bytes as go through. */
  bulk: { size: BULK, batch: 1, pauseMs: 0 },
} as const satisfies Readonly<Record<string, Load>>;

/** Its name. */
export type LoadName = keyof typeof loads;

const loadNames = Object.keys(loads) as readonly LoadName[];

/** A frame whose payload nobody reads. */
export function frameOf(type: number, size: number): Uint8Array {
  return encodeFrame(type, bytes(size - HEADER_SIZE, 1));
}

/** Asks for a load. */
export function pourFrame(name: LoadName): Uint8Array {
  return encodeFrame(frameTypes.pour, Uint8Array.of(loadNames.indexOf(name)));
}

/** The load that the payload of such a frame asks for. */
export function pouredLoad(payload: Uint8Array): Load {
  const name = loadNames[payload[0] ?? 0];
  if (name === undefined) throw new RangeError(`there is no load number ${payload[0]}`);
  return loads[name];
}

/** A frame of a message type of the mining protocol. */
export function encodeFrame(messageType: number, payload: Uint8Array): Uint8Array {
  const header = encodeHeader({ extensionType: 0, channelMsg: false, messageType, length: payload.length });
  const frame = new Uint8Array(header.length + payload.length);
  frame.set(header);
  frame.set(payload, header.length);
  return frame;
}

function numberOf(row: { readonly type: number } | undefined): number {
  if (row === undefined) throw new Error("the codec's table lacks a message of the benchmark");
  return row.type;
}
