import {
  CodecError,
  type Decoded,
  type DialectMessage,
  decodeHeader,
  dialect,
  HEADER_SIZE,
  type Protocol,
} from "@adit/codec";
import type { Random } from "../harness/random.ts";
import {
  encode,
  expectSameFrame,
  expectSameValues,
  hex,
  type PeerMessage,
  type PeerOutcome,
  type Subject,
  subjects,
} from "./codec-peer.ts";
import { randomMessage } from "./random-messages.ts";

/** A kind of frame that one side takes and the other refuses. */
export interface Difference {
  readonly name: string;
  readonly reason: string;
  readonly covers: (ours: Outcome, theirs: PeerOutcome) => boolean;
}

/** What our codec makes of a frame. */
type Outcome =
  | { readonly kind: "accepted"; readonly subject: Subject; readonly message: object }
  | { readonly kind: "refused"; readonly code: string };

/** All there is; a difference of no kind listed here is a fault of one side. */
export const differences: readonly Difference[] = [
  {
    name: "a string that is not UTF-8",
    reason: "STR0_255 is a string in the specification (3.1) and any bytes to the crates",
    covers: (ours, theirs) => refused(ours, "not-utf8") && accepted(theirs),
  },
  {
    name: "bytes behind the message that are no TLV fields",
    reason: "the crates ignore what they cannot read as TLV; here such a message is malformed (3.4.3)",
    covers: (ours, theirs) => refused(ours, "bad-tlv") && accepted(theirs),
  },
  {
    name: "a SetupConnection for a sub-protocol that does not exist",
    reason: "protocol is a U8 here, so that the role can answer unsupported-protocol; the crates fail to parse",
    covers: (ours, theirs) =>
      ours.kind === "accepted" &&
      ours.subject.row.name === "SetupConnection" &&
      (theirs.error?.includes("ValueIsNotAValidProtocol") ?? false),
  },
];

function refused(outcome: Outcome, code: string): boolean {
  return outcome.kind === "refused" && outcome.code === code;
}

function accepted(outcome: PeerOutcome): boolean {
  return outcome.error === undefined && outcome.panic === undefined;
}

/** The frame of a random message, damaged once. */
export function mutatedFrame(random: Random, index: number): Uint8Array {
  const { subject, message } = randomMessage(random, index);
  const frame = encode(subject, message);
  const payload = frame.subarray(HEADER_SIZE);
  switch (random.upTo(8)) {
    case 0:
      return withLength(frame.subarray(0, HEADER_SIZE + random.upTo(payload.length)));
    case 1:
      return withLength(Buffer.concat([frame, random.bytes(1 + random.upTo(12))]));
    case 2:
      return cutOrExtended(frame, random);
    case 3:
      return frame.with(random.upTo(2), random.upTo(255));
    case 4:
      return frame.with(HEADER_SIZE, random.upTo(255));
    case 5:
    case 6:
      return damaged(frame, random, () => random.pick([0, 1, 2, 0x7f, 0x80, 0xfe, 0xff]));
    default:
      return damaged(frame, random, (byte) => byte ^ (1 << random.upTo(7)));
  }
}

/** A frame whose header does not tell its length. */
function cutOrExtended(frame: Uint8Array, random: Random): Uint8Array {
  return random.oneIn(2) ? frame.slice(0, random.upTo(frame.length - 1)) : Buffer.concat([frame, random.bytes(1)]);
}

function damaged(frame: Uint8Array, random: Random, change: (byte: number) => number): Uint8Array {
  const copy = frame.slice();
  // The first bytes of a payload are numbers of which any value is valid: favour the rest, where the lengths are.
  const first = random.oneIn(8) ? 0 : Math.min(HEADER_SIZE + 4, frame.length - 1);
  for (let times = 1 + random.upTo(2); times > 0; times -= 1) {
    const at = first + random.upTo(frame.length - 1 - first);
    copy[at] = change(copy[at] ?? 0);
  }
  return withLength(copy);
}

function withLength(frame: Uint8Array): Uint8Array {
  const copy = Uint8Array.from(frame);
  const length = copy.length - HEADER_SIZE;
  copy.set([length & 0xff, (length >> 8) & 0xff, length >> 16], 3);
  return copy;
}

/** What our codec makes of a frame. Throws what is no CodecError. */
export function ourOutcome(bytes: Uint8Array): Outcome {
  let decoded: Decoded<DialectMessage<Protocol>>;
  let subject: Subject | undefined;
  try {
    const header = decodeHeader(bytes);
    const payload = bytes.subarray(HEADER_SIZE);
    if (payload.length !== header.length) return { kind: "refused", code: "not-a-frame" };
    subject = subjects.find(({ row }) => row.extensionType === header.extensionType && row.type === header.messageType);
    decoded = dialect<Protocol>(subject?.spoken ?? "mining").decode({ ...header, payload });
  } catch (error) {
    if (!(error instanceof CodecError)) throw error;
    return { kind: "refused", code: error.code };
  }
  if (decoded.kind !== "message" || subject === undefined) return { kind: "refused", code: decoded.kind };
  return { kind: "accepted", subject, message: decoded.message };
}

/**
 * Throws unless both sides refuse a frame, or both take it for the same message, or their difference is a listed one,
 * which is returned.
 */
export function compareOutcomes(ours: Outcome, theirs: PeerOutcome): Difference | undefined {
  if (theirs.panic !== undefined) throw new Error(`codec-peer panicked: ${theirs.panic}`);
  if (ours.kind === "refused" && theirs.error !== undefined) return undefined;
  if (ours.kind === "accepted" && theirs.error === undefined) {
    expectSameMessage(ours, theirs);
    return undefined;
  }
  const difference = differences.find(({ covers }) => covers(ours, theirs));
  if (difference === undefined) {
    const verdict = ours.kind === "refused" ? ours.code : ours.kind;
    throw new Error(`ours: ${verdict}; theirs: ${theirs.error ?? "accepted"}`);
  }
  return difference;
}

function expectSameMessage(
  { subject, message }: Extract<Outcome, { kind: "accepted" }>,
  theirs: PeerMessage & { readonly bare_frame: string },
): void {
  expectSameValues(subject.row, message, theirs);
  expectSameFrame(subject.row, message, [hex(encode(subject, message)), theirs.bare_frame]);
}
