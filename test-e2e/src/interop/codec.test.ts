import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  CodecError,
  decodeHeader,
  decodeTlvs,
  dialect,
  encodeTlvs,
  HEADER_SIZE,
  MAX_PAYLOAD,
  type Protocol,
  readWorkerIdentity,
  type Tlv,
  type TlvByteOrder,
  WORKER_HASHRATE_TRACKING,
  workerTlvs,
} from "@adit/codec";
import { describe, expect, test } from "vitest";
import { Random } from "../harness/random.ts";
import {
  codecPeerValues,
  collectionOf,
  encode,
  expectSameFrame,
  expectSameValues,
  f32Of,
  type Generated,
  hex,
  type PeerOutcome,
  peerName,
  type Subject,
  subjects,
} from "./codec-peer.ts";
import { compareOutcomes, differences, mutatedFrame, ourOutcome } from "./mutated-frames.ts";
import { randomMessage } from "./random-messages.ts";
import { interopSeed as seed } from "./seed.ts";

const MESSAGES_EACH_WAY = 50_000;
const MUTATED_FRAMES = 20_000;

process.stdout.write(`codec interop: INTEROP_SEED=${seed}\n`);

function subjectOf(protocol: string, name: string): Subject {
  const subject = subjects.find((each) => each.protocol === protocol && each.row.name === name);
  if (subject === undefined) throw new Error(`we have no ${name} in ${protocol}`);
  return subject;
}

function decode(subject: Subject, frame: Uint8Array): { readonly message: object; readonly tlvs: readonly Tlv[] } {
  const decoded = dialect<Protocol>(subject.spoken).decode({
    ...decodeHeader(frame),
    payload: frame.subarray(HEADER_SIZE),
  });
  if (decoded.kind !== "message") throw new Error(`decoded as ${decoded.kind}`);
  return decoded;
}

interface Label {
  readonly index: number;
  readonly name: string;
  /** Hex. */
  readonly frame: string;
}

/** Says which message a check was about when it fails. */
function about({ index, name, frame }: Label, check: () => void): void {
  try {
    check();
  } catch (cause) {
    const shown = frame.length > 2000 ? `${frame.slice(0, 2000)}… (${frame.length / 2} bytes)` : frame;
    const what = `message ${index} of INTEROP_SEED=${seed}, ${name}, frame ${shown}`;
    throw new Error(`${what}: ${(cause as Error).message}`, { cause });
  }
}

/** Sends frames through `codec-peer decode` and hands each with the peer's answer to `check`. */
async function decodeThere<T extends { readonly frame: Uint8Array }>(
  frames: Iterable<T>,
  check: (sent: T, outcome: PeerOutcome) => void,
): Promise<void> {
  // What was sent and not answered; the pipes bound it.
  const waiting: T[] = [];
  function* lines(): Generator<string> {
    for (const sent of frames) {
      waiting.push(sent);
      yield hex(sent.frame);
    }
  }
  for await (const outcome of codecPeerValues<PeerOutcome>(["decode"], lines())) {
    const sent = waiting.shift();
    if (sent === undefined) throw new Error("an answer to nothing");
    check(sent, outcome);
  }
  expect(waiting).toEqual([]);
}

async function decodeOneThere(frame: Uint8Array): Promise<PeerOutcome> {
  const outcomes: PeerOutcome[] = [];
  await decodeThere([{ frame }], (_, outcome) => outcomes.push(outcome));
  return outcomes[0] as PeerOutcome;
}

function utf8(text: string): string {
  return Buffer.from(text, "hex").toString("utf8");
}

describe("the codec and the reference implementation's crates", () => {
  test("know the same messages", async () => {
    const theirs: string[] = [];
    for await (const [protocol, name] of codecPeerValues<readonly [string, string]>(["messages"])) {
      theirs.push(`${protocol}.${name}`);
    }
    expect(theirs.toSorted()).toEqual(subjects.map(({ protocol, row }) => `${protocol}.${row.name}`).toSorted());
  });

  test("messages written by the crates mean the same here and come out byte for byte", async () => {
    const nameLengths = new Set<number>();
    let index = 0;
    for await (const theirs of codecPeerValues<Generated>(["generate", `${seed}`, "0", `${MESSAGES_EACH_WAY}`])) {
      about({ ...theirs, index }, () => {
        const subject = subjectOf(theirs.protocol, theirs.name);
        const { row } = subject;
        const frame = Buffer.from(theirs.frame, "hex");
        const { message, tlvs } = decode(subject, frame);
        const { extensionType, messageType, channelMsg } = decodeHeader(frame);
        expect([extensionType, messageType, channelMsg]).toEqual([row.extensionType, row.type, row.channel]);
        expectSameValues(row, message, theirs);
        const name = theirs.user_identity;
        if (name !== undefined) nameLengths.add(name.length / 2);
        expect(readWorkerIdentity(tlvs)).toEqual(name === undefined || name === "" ? undefined : utf8(name));
        // An empty name reads the same in both byte orders, and is taken for a field of extension 0x0200.
        const order = name === "" ? "big" : "little";
        expectSameFrame(row, message, [hex(encode(subject, message, { tlvs, order })), theirs.frame]);
      });
      index += 1;
    }
    expect(index).toBe(MESSAGES_EACH_WAY);
    for (const length of [0, 1, 32]) expect(nameLengths).toContain(length);
  });

  test("messages written here mean the same to the crates and come out byte for byte", async () => {
    let answered = 0;
    function* messages() {
      for (let index = 0; index < MESSAGES_EACH_WAY; index += 1) {
        const random = new Random(seed, index);
        const { subject, message } = randomMessage(random, index);
        const named = subject.row.name === "SubmitSharesExtended" && random.oneIn(2);
        const name = named ? random.text(random.length(32, 32)) : undefined;
        const tlvs = workerTlvs(name);
        yield { index, subject, message, name, frame: encode(subject, message, { tlvs, order: "little" }) };
      }
    }
    await decodeThere(messages(), ({ index, subject, message, name, frame }, theirs) => {
      const ours = hex(frame);
      about({ index, name: subject.row.name, frame: ours }, () => {
        if (theirs.error !== undefined) throw new Error(`refused: ${theirs.error}`);
        if (theirs.panic !== undefined) throw new Error(`panicked: ${theirs.panic}`);
        expectSameValues(subject.row, message, theirs);
        const { row } = subject;
        expect([theirs.extension_type, theirs.message_type, theirs.channel_msg]).toEqual([
          row.extensionType,
          row.type,
          row.channel,
        ]);
        const names = name === undefined ? [] : [{ user_identity: Buffer.from(name).toString("hex") }];
        expect(theirs.tlvs).toEqual(names);
        expectSameFrame(row, message, [ours, theirs.frame]);
      });
      answered += 1;
    });
    expect(answered).toBe(MESSAGES_EACH_WAY);
  });

  test("the largest frame there can be passes both ways", async () => {
    const subject = subjectOf("job_declaration", "ProvideMissingTransactionsSuccess");
    const transaction = new Random(seed, 0).bytes(MAX_PAYLOAD - 4 - 2 - 3);
    const message = { name: subject.row.name, requestId: 1, transactionList: [transaction] };
    const frame = encode(subject, message);
    expect(frame.length).toBe(HEADER_SIZE + MAX_PAYLOAD);
    const theirs = await decodeOneThere(frame);
    if (theirs.error !== undefined || theirs.panic !== undefined) throw new Error("refused");
    expectSameValues(subject.row, message, theirs);
    expect(theirs.frame === hex(frame)).toBe(true);
  });

  test("damaged frames crash neither, and are refused by both but for the listed differences", async () => {
    const met = new Map(differences.map((difference) => [difference, 0]));
    const verdicts = { accepted: 0, refused: 0 };
    function* frames() {
      for (let index = 0; index < MUTATED_FRAMES; index += 1) {
        yield { index, frame: mutatedFrame(new Random(seed, index, true), index) };
      }
    }
    await decodeThere(frames(), ({ index, frame }, theirs) => {
      about({ index, name: "damaged", frame: hex(frame) }, () => {
        const ours = ourOutcome(frame);
        verdicts[ours.kind] += 1;
        const difference = compareOutcomes(ours, theirs);
        if (difference !== undefined) met.set(difference, (met.get(difference) ?? 0) + 1);
      });
    });
    const counts = Object.fromEntries([...met].map(([{ name }, count]) => [name, count]));
    process.stdout.write(`damaged frames: ${JSON.stringify({ ...verdicts, ...counts }, null, 2)}\n`);
    // A difference that never shows has no place in the list; and both verdicts must be common, or nothing was tested.
    for (const [{ name }, count] of met) expect([name, count > 0]).toEqual([name, true]);
    expect(verdicts.accepted).toBeGreaterThan(MUTATED_FRAMES / 10);
    expect(verdicts.refused).toBeGreaterThan(MUTATED_FRAMES / 10);
  });
});

describe("the worker's name in a TLV field", () => {
  const subject = subjectOf("mining", "SubmitSharesExtended");
  const share = randomMessage(new Random(seed, 0), subjects.indexOf(subject)).message;
  const field = (length: number): Tlv => ({
    extensionType: WORKER_HASHRATE_TRACKING,
    fieldType: 1,
    value: new Uint8Array(length).fill(0x77),
  });

  async function tlvsThere(length: number, order: TlvByteOrder) {
    const theirs = await decodeOneThere(encode(subject, share, { tlvs: [field(length)], order }));
    if (theirs.error !== undefined || theirs.panic !== undefined) throw new Error("the share itself was refused");
    return theirs.tlvs;
  }

  test.each([0, 1, 32])("is read by the crates little-endian with %i bytes", async (length) => {
    expect(await tlvsThere(length, "little")).toEqual([{ user_identity: "77".repeat(length) }]);
  });

  test.each([0, 1, 32, 33])("is not seen by the crates big-endian with %i bytes, and the share is", async (length) => {
    expect(await tlvsThere(length, "big")).toEqual([]);
  });

  test("of 33 bytes is refused by both", async () => {
    expect(await tlvsThere(33, "little")).toEqual([{ error: "ExtensionError(UserIdentity(TooLong(33)))" }]);
    for (const order of ["big", "little"] as const) {
      const read = decodeTlvs(encodeTlvs([field(33)], order));
      expect(() => readWorkerIdentity(read)).toThrow(expect.objectContaining({ name: CodecError.name }));
    }
  });
});

describe("the sample of the crates' frames that the unit tests read", () => {
  const SAMPLE_SEED = 1;
  const FRAMES_EACH = 3;
  const path = new URL("../../../packages/codec/src/vectors/sri-random-frames.json", import.meta.url);
  const lock = readFileSync(join(import.meta.dirname, "../../interop/Cargo.lock"), "utf8");
  const crates = [
    "binary_sv2",
    "framing_sv2",
    "codec_sv2",
    "parsers_sv2",
    "common_messages_sv2",
    "mining_sv2",
    "job_declaration_sv2",
    "template_distribution_sv2",
    "extensions_sv2",
  ].map((name) => `${name} ${new RegExp(`name = "${name}"\nversion = "([^"]+)"`).exec(lock)?.[1]}`);

  /** A value as the vectors spell it: strings as text, F32 as a number or its name, the rest as it came. */
  function spelt(spec: string, value: unknown): unknown {
    const collection = collectionOf(spec);
    if (collection !== undefined && value !== null) {
      return Array.isArray(value) ? value.map((each) => spelt(collection[1], each)) : spelt(collection[1], value);
    }
    if (spec === "STR0_255") return utf8(value as string);
    if (spec !== "F32") return value;
    const number = f32Of(value as number);
    return Number.isFinite(number) ? number : String(number);
  }

  function entry(theirs: Generated): string {
    const { spoken, row } = subjectOf(theirs.protocol, theirs.name);
    const fields = Object.entries(row.fields).map(([field, { spec }]) => [
      field,
      spelt(spec, theirs.fields[peerName(row, field)]),
    ]);
    const { user_identity: name, frame } = theirs;
    const tlv = name === undefined || name === "" ? {} : { userIdentity: utf8(name) };
    return JSON.stringify({
      protocol: spoken,
      message: { name: row.name, ...Object.fromEntries(fields) },
      ...tlv,
      frame,
    });
  }

  test("is what they write today", async () => {
    const entries: string[] = [];
    const count = `${FRAMES_EACH * subjects.length}`;
    for await (const theirs of codecPeerValues<Generated>(["generate", `${SAMPLE_SEED}`, "0", count, "small"])) {
      entries.push(entry(theirs));
    }
    const source = `Random values, seed ${SAMPLE_SEED}, encoded by Stratum Reference Implementation crates: ${crates.join(", ")}. Bytes are hex; U64 values are decimal strings. Recorded by INTEROP_RECORD=1 pnpm test:interop.`;
    const text = `{\n  "source": ${JSON.stringify(source)},\n  "frames": [\n    ${entries.join(",\n    ")}\n  ]\n}\n`;
    if (process.env["INTEROP_RECORD"] === "1") writeFileSync(path, text);
    expect(readFileSync(path, "utf8") === text, "record it again: INTEROP_RECORD=1 pnpm test:interop").toBe(true);
  });
});
