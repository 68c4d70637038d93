import { isDeepStrictEqual } from "node:util";
import {
  CodecError,
  type DialectMessage,
  decodeHeader,
  decodeTlvs,
  dialect,
  encodeTlvs,
  type Frame,
  HEADER_SIZE,
  type MessageRow,
  messageSets,
  type Protocol,
  readWorkerIdentity,
  type Tlv,
  workerIdentityTlv,
} from "@adit/codec";
import fc from "fast-check";
import { Random } from "../../harness/random.ts";
import { encode } from "../../interop/codec-peer.ts";
import { mutatedFrame } from "../../interop/mutated-frames.ts";
import { randomMessage } from "../../interop/random-messages.ts";
import { anyBytes, damagedOneOf } from "../arbitraries.ts";
import { rule, type Target, unlessRefused } from "../target.ts";

const protocols: readonly Protocol[] = ["mining", "job_declaration", "template_distribution"];
const rows: readonly MessageRow[] = Object.values(messageSets).flatMap((set) => Object.values(set.rows));

/** Types whose bytes are not all told apart: BOOL reads one bit of eight, and there are many NaNs. */
const NORMALISED = new Set(["BOOL", "F32"]);

const u32 = fc.nat(0xffff_ffff);

/** What the interop tests send to the other implementation's codec, and damage. */
const valid = fc.tuple(u32, fc.nat(9_999)).map(([seed, index]) => {
  const { subject, message } = randomMessage(new Random(seed, index, true), index);
  return encode(subject, message);
});
const damaged = fc.tuple(u32, fc.nat(9_999)).map(([seed, index]) => mutatedFrame(new Random(seed, index, true), index));
const tlvs = fc.array(
  fc.record({ extensionType: fc.nat(0xffff), fieldType: fc.nat(0xff), value: fc.uint8Array({ maxLength: 40 }) }),
  { maxLength: 4 },
);
const validTlvs = fc
  .tuple(tlvs, fc.constantFrom("big" as const, "little" as const))
  .map(([fields, order]) => encodeTlvs(fields, order));
const withTlvs = fc.tuple(fc.oneof(valid, damaged), validTlvs).map(([frame, fields]) => Buffer.concat([frame, fields]));
const ofKnownType = fc.tuple(fc.constantFrom(...rows), anyBytes(200)).map(([row, payload]) => {
  const extension = row.extensionType | (row.channel ? 0x8000 : 0);
  return Uint8Array.from([extension & 0xff, extension >> 8, row.type, 0, 0, 0, ...payload]);
});

/** A frame, its length not believed: header and every decoder of all three sub-protocols. */
export const frames: Target<Uint8Array> = {
  inputs: fc.oneof(valid, damaged, withTlvs, ofKnownType, anyBytes(300)).map((bytes) => Uint8Array.from(bytes)),
  run(bytes) {
    const header = unlessRefused([CodecError], () => decodeHeader(bytes));
    if (header === undefined) return;
    const frame = { ...header, payload: bytes.subarray(HEADER_SIZE) };
    for (const protocol of protocols) checkFrame(protocol, frame);
  },
  guided: { maxLength: 400, dictionary: [] },
};

function checkFrame(protocol: Protocol, frame: Frame): void {
  const codec = dialect<Protocol>(protocol);
  const decoded = unlessRefused([CodecError], () => codec.decode(frame));
  if (decoded?.kind !== "message") return;
  const { message, tlvs } = decoded;
  const bytes = codec.encode(message, tlvs);
  const again = codec.decode({ ...decodeHeader(bytes), payload: bytes.subarray(HEADER_SIZE) });
  rule(again.kind === "message", "an encoded message does not decode");
  rule(isDeepStrictEqual(again.message, message), `${message.name} decodes to something else when encoded again`);
  rule(isDeepStrictEqual(again.tlvs, sorted(tlvs)), `the TLVs of ${message.name} changed`);
  rule(Buffer.compare(codec.encode(again.message, again.tlvs), bytes) === 0, "a second encoding differs");
  if (!normalises(message)) checkBytesRead(frame, codec.encode(message));
}

/** Without TLVs, a message's bytes are what it was read from. */
function checkBytesRead({ payload }: Frame, bytes: Uint8Array): void {
  const written = bytes.subarray(HEADER_SIZE);
  rule(Buffer.compare(written, payload.subarray(0, written.length)) === 0, "encoded bytes differ from those decoded");
}

function normalises({ name }: DialectMessage<Protocol>): boolean {
  const named = rows.filter((row) => row.name === name);
  return named.some(({ fields }) => Object.values(fields).some(({ spec }) => NORMALISED.has(spec)));
}

function sorted(tlvs: readonly Tlv[]): readonly Tlv[] {
  return tlvs.toSorted((a, b) => a.extensionType - b.extensionType);
}

const identity = fc.string({ unit: "binary", maxLength: 12 });
const workerTlv = fc
  .tuple(identity, tlvs)
  .map(([name, others]) =>
    encodeTlvs([...others, ...(unlessRefused([RangeError], () => [workerIdentityTlv(name)]) ?? [])]),
  );

/** The TLV fields behind a message, and the worker's name among them. */
export const tlvFields: Target<Uint8Array> = {
  inputs: fc.oneof(damagedOneOf(fc.oneof(validTlvs, workerTlv)), anyBytes(120)),
  run(bytes) {
    const fields = unlessRefused([CodecError], () => decodeTlvs(bytes));
    if (fields === undefined) return;
    const again = decodeTlvs(encodeTlvs(fields));
    rule(isDeepStrictEqual(again, sorted(fields)), "TLVs change when encoded again");
    const name = unlessRefused([CodecError], () => readWorkerIdentity(fields));
    if (name === undefined) return;
    rule(isDeepStrictEqual(readWorkerIdentity([workerIdentityTlv(name)]), name), "a worker's name changed");
  },
  guided: { maxLength: 200, dictionary: [Uint8Array.of(0, 2, 1, 0, 4), Uint8Array.of(2, 0, 1, 4, 0)] },
};
