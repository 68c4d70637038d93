import { decodeHeader, dialect, type Frame, HEADER_SIZE, mining, type SubmitSharesExtended } from "@adit/codec";
import { type Case, cost, measureRounds } from "./measure.ts";
import { FULL_DEPTH, newTemplate, sampleJob, sampleShare } from "./samples.ts";
import type { BenchOptions, Suite, Table } from "./suite.ts";

const miningDialect = dialect("mining");
const templateDialect = dialect("template_distribution");
const BY_HAND = "Buffer by hand";

/** What a message costs on its way to and from bytes. */
export const codec: Suite = {
  async *run(options) {
    const template = newTemplate(1, { depth: FULL_DEPTH, future: true });
    yield await table(options, {
      title: `SubmitSharesExtended, ${sampleShare.extranonce.length} bytes of extranonce`,
      message: sampleShare,
      encode: () => miningDialect.encode(sampleShare),
      decode: (frame) => miningDialect.decode(frame),
      byHand: byHand(sampleShare),
    });
    yield await table(options, {
      title: `NewExtendedMiningJob, merkle path of ${FULL_DEPTH}`,
      message: sampleJob,
      encode: () => miningDialect.encode(sampleJob),
      decode: (frame) => miningDialect.decode(frame),
    });
    yield await table(options, {
      title: `NewTemplate, merkle path of ${FULL_DEPTH}`,
      message: template,
      encode: () => templateDialect.encode(template),
      decode: (frame) => templateDialect.decode(frame),
    });
  },
};

interface Subject {
  readonly title: string;
  readonly message: object;
  readonly encode: () => Uint8Array;
  readonly decode: (frame: Frame) => unknown;
  readonly byHand?: { readonly encode: () => Uint8Array; readonly decode: (bytes: Uint8Array) => unknown };
}

async function table(options: BenchOptions, subject: Subject): Promise<Table> {
  const { title, encode, decode, byHand } = subject;
  const encoded = encode();
  const frame = { ...decodeHeader(encoded), payload: encoded.subarray(HEADER_SIZE) };
  const plain = plainObject(subject.message);
  const json = JSON.stringify(plain);
  const hand = (run: (() => unknown) | undefined, what: string): readonly Case[] =>
    run === undefined ? [] : [{ label: `${what}: ${BY_HAND}`, sample: cost(run, options) }];
  const beside = (what: string): readonly string[] => (byHand === undefined ? [] : [`${what}: ${BY_HAND}`]);
  const cases: readonly Case[] = [
    { label: "encode: JSON.stringify", sample: cost(() => JSON.stringify(plain), options) },
    ...hand(byHand?.encode, "encode"),
    { label: "encode: codec", against: ["encode: JSON.stringify", ...beside("encode")], sample: cost(encode, options) },
    { label: "decode: JSON.parse", sample: cost(() => JSON.parse(json), options) },
    ...hand(byHand && (() => byHand.decode(encoded)), "decode"),
    {
      label: "decode: codec",
      against: ["decode: JSON.parse", ...beside("decode")],
      sample: cost(() => decode(frame), options),
    },
  ];
  const notes = [
    `frame ${encoded.length} bytes, JSON ${json.length} bytes with byte fields in hex; nothing is checked by JSON`,
  ];
  return { title, unit: "ns of work", rows: await measureRounds(cases, options), notes };
}

/** What JSON can carry: bytes as hex, 64-bit integers as text, as Stratum V1 does. */
function plainObject(message: object): unknown {
  return JSON.parse(
    JSON.stringify(message, (_, value: unknown) => {
      if (value instanceof Uint8Array) return Buffer.from(value).toString("hex");
      return typeof value === "bigint" ? value.toString() : value;
    }),
  );
}

/** One message written out with Buffer's methods, as a program without a table of messages would do it. */
function byHand(share: SubmitSharesExtended): NonNullable<Subject["byHand"]> {
  const { type } = mining.rows.SubmitSharesExtended;
  return {
    encode: () => {
      const { extranonce } = share;
      const buffer = Buffer.allocUnsafe(HEADER_SIZE + 25 + extranonce.length);
      buffer.writeUInt16LE(0x8000, 0);
      buffer.writeUInt8(type, 2);
      buffer.writeUIntLE(25 + extranonce.length, 3, 3);
      const fields = [share.channelId, share.sequenceNumber, share.jobId, share.nonce, share.ntime, share.version];
      for (const [at, field] of fields.entries()) buffer.writeUInt32LE(field, HEADER_SIZE + 4 * at);
      buffer.writeUInt8(extranonce.length, HEADER_SIZE + 24);
      buffer.set(extranonce, HEADER_SIZE + 25);
      return buffer;
    },
    decode: (bytes) => {
      const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
      const length = buffer.readUInt8(HEADER_SIZE + 24);
      return {
        name: share.name,
        channelId: buffer.readUInt32LE(HEADER_SIZE),
        sequenceNumber: buffer.readUInt32LE(HEADER_SIZE + 4),
        jobId: buffer.readUInt32LE(HEADER_SIZE + 8),
        nonce: buffer.readUInt32LE(HEADER_SIZE + 12),
        ntime: buffer.readUInt32LE(HEADER_SIZE + 16),
        version: buffer.readUInt32LE(HEADER_SIZE + 20),
        extranonce: buffer.subarray(HEADER_SIZE + 25, HEADER_SIZE + 25 + length),
      };
    },
  };
}
