import {
  type DialectMessage,
  dialect,
  HEADER_SIZE,
  type MessageProtocol,
  type MessageRow,
  messageSets,
  type Protocol,
  type Tlv,
  type TlvByteOrder,
  Writer,
} from "@adit/codec";
import { peerValues } from "./peer-lines.ts";

/** A message as the crates know it. */
export interface PeerMessage {
  readonly protocol: MessageProtocol;
  readonly name: string;
  readonly extension_type: number;
  readonly message_type: number;
  readonly channel_msg: boolean;
  /** In neutral form (see {@link neutral}), under the names of the crates. */
  readonly fields: Readonly<Record<string, unknown>>;
  /** The frame the crates wrote, hex, TLV fields included. */
  readonly frame: string;
}

/** One line of `codec-peer generate`. */
export interface Generated extends PeerMessage {
  /** The worker's name in a TLV, hex. */
  readonly user_identity?: string;
}

/** One line of `codec-peer decode`. */
export type PeerOutcome =
  | (PeerMessage & {
      /** The frame they write without TLV fields, hex. */
      readonly bare_frame: string;
      /** TLV fields of extension 0x0002: the worker's name in hex, or why it was refused. */
      readonly tlvs: readonly ({ readonly user_identity: string } | { readonly error: string })[];
      readonly error?: undefined;
      readonly panic?: undefined;
    })
  | { readonly error: string; readonly panic?: undefined }
  | { readonly panic: string | null; readonly error?: undefined };

/** Lines of JSON of codec-peer; see {@link peerValues}. */
export function codecPeerValues<T>(
  args: readonly string[],
  input?: Iterable<string>,
): AsyncGenerator<T, void, undefined> {
  return peerValues<T>("codec-peer", args, input);
}

/** A row of our tables, where it is defined, and the sub-protocol in which it is spoken here. */
export interface Subject {
  readonly protocol: MessageProtocol;
  readonly spoken: Protocol;
  readonly row: MessageRow;
}

/** Every message of our tables. */
export const subjects: readonly Subject[] = Object.entries(messageSets).flatMap(([name, { rows }]) => {
  const protocol = name as MessageProtocol;
  const spoken = protocol === "common" || protocol === "extensions_negotiation" ? "mining" : protocol;
  return Object.values(rows).map((row) => ({ protocol, spoken, row }));
});

/** Encodes a message whose type is only known at run time. */
export function encode(
  subject: Subject,
  message: object,
  { tlvs, order }: { readonly tlvs?: readonly Tlv[]; readonly order?: TlvByteOrder } = {},
): Uint8Array {
  return dialect<Protocol>(subject.spoken).encode(message as DialectMessage<Protocol>, tlvs, order);
}

/** Bytes as lower-case hex. */
export function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("hex");
}

/** Fields that the crates call other than the specification does. */
const renamed: Readonly<Record<string, string>> = {
  "SetCustomMiningJob.miningJobToken": "token",
  "AllocateMiningJobTokenSuccess.coinbaseTxOutputs": "coinbase_outputs",
};

/** The crates' name of one of our fields. */
export function peerName(row: MessageRow, field: string): string {
  return renamed[`${row.name}.${field}`] ?? field.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

/** The parts of `SEQ0_255[U256]` and the like; undefined for a scalar. */
export function collectionOf(spec: string): readonly [collection: string, element: string] | undefined {
  const [, collection, element] = /^(OPTION|SEQ0_255|SEQ0_64K)\[(.+)\]$/.exec(spec) ?? [];
  return collection === undefined || element === undefined ? undefined : [collection, element];
}

const NAN = "NaN";

/**
 * A value of ours as codec-peer writes it: U64 in decimal, an F32 as its bits, bytes and strings in hex, null for an
 * option that is absent. All NaN are one here.
 */
function neutral(spec: string, value: unknown): unknown {
  const collection = collectionOf(spec);
  if (collection !== undefined) {
    const [kind, element] = collection;
    if (kind === "OPTION") return value === null ? null : neutral(element, value);
    return (value as readonly unknown[]).map((each) => neutral(element, each));
  }
  if (spec === "F32") return f32Bits(value as number);
  if (spec === "STR0_255") return Buffer.from(value as string, "utf8").toString("hex");
  if (value instanceof Uint8Array) return hex(value);
  return typeof value === "bigint" ? value.toString() : value;
}

const scratch = new DataView(new ArrayBuffer(4));

function f32Bits(value: number): number | typeof NAN {
  if (Number.isNaN(value)) return NAN;
  scratch.setFloat32(0, value);
  return scratch.getUint32(0);
}

/** The value of an F32 by its bits. */
export function f32Of(bits: number): number {
  scratch.setUint32(0, bits);
  return scratch.getFloat32(0);
}

/** Throws unless the crates and we mean the same by a message: the same fields, each with the same value. */
export function expectSameValues(row: MessageRow, ours: object, theirs: PeerMessage): void {
  const { protocol: _, ...message } = theirs;
  if (message.name !== row.name) throw new Error(`they call it ${message.name}`);
  const left = new Set(Object.keys(message.fields));
  for (const [field, { spec }] of Object.entries(row.fields)) {
    const name = peerName(row, field);
    if (!left.delete(name)) throw new Error(`they have no ${name}`);
    const own = JSON.stringify(neutral(spec, (ours as Readonly<Record<string, unknown>>)[field]));
    const their = spec === "F32" ? f32Bits(f32Of(message.fields[name] as number)) : message.fields[name];
    if (own !== JSON.stringify(their)) throw new Error(`${field} is ${own} here and ${JSON.stringify(their)} there`);
  }
  if (left.size > 0) throw new Error(`we have no ${[...left].join(", ")}`);
}

/**
 * Throws unless two frames are the same. The bits of a NaN may differ: JavaScript numbers need not keep them, and
 * nothing may depend on them.
 */
export function expectSameFrame(row: MessageRow, message: object, frames: readonly [string, string]): void {
  const [ours, theirs] = frames;
  if (ours === theirs) return;
  const [a, b] = [Buffer.from(ours, "hex"), Buffer.from(theirs, "hex")];
  for (const offset of nanOffsets(row, message)) {
    for (const frame of [a, b]) {
      if (!Number.isNaN(frame.readFloatLE(offset))) throw new Error(`no NaN at ${offset}`);
      frame.fill(0, offset, offset + 4);
    }
  }
  if (!a.equals(b)) throw new Error(`ours is ${ours.slice(0, 2000)}, theirs ${theirs.slice(0, 2000)}`);
}

/** Where in a message's frame an F32 is that holds NaN. */
function nanOffsets(row: MessageRow, message: object): readonly number[] {
  const writer = new Writer(0xffffff);
  writer.start("offsets");
  const offsets: number[] = [];
  for (const [field, type] of Object.entries(row.fields)) {
    const value = (message as Readonly<Record<string, unknown>>)[field];
    if (type.spec === "F32" && Number.isNaN(value)) offsets.push(HEADER_SIZE + writer.length);
    type.write(writer, value);
  }
  return offsets;
}
