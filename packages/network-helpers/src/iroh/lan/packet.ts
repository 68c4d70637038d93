import { type Answer, AUTHORITATIVE_ANSWER, decode, encode, type Question } from "dns-packet";

/** Longest packet that is looked at, in bytes; what mDNS sends fits an Ethernet frame. */
export const MAX_PACKET = 4096;
/** Most questions and records of a packet that is looked at. */
const MAX_ENTRIES = 128;
const HEADER_SIZE = 12;
/** The least a question and a record take: a root name, and 4 or 10 bytes behind it. */
const LEAST_QUESTION = 5;
const LEAST_RECORD = 11;
/** The response bit is no concern of these: operation and response code, which mDNS leaves at 0. */
const CODES = 0x780f;

/** A packet as far as discovery looks at it. */
export interface LanPacket {
  readonly isResponse: boolean;
  readonly questions: readonly Question[];
  /** Of a query: what the asker knows already. */
  readonly answers: readonly Answer[];
  /** Answers and additional records. */
  readonly records: readonly Answer[];
}

/** Reads a packet from the network; undefined for what is malformed, too large, or not for mDNS. Never throws. */
export function readPacket(bytes: Uint8Array): LanPacket | undefined {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  if (!isPlausible(buffer)) return undefined;
  try {
    const { type, questions = [], answers = [], additionals = [] } = decode(buffer);
    return { isResponse: type === "response", questions, answers, records: [...answers, ...additionals] };
  } catch {
    return undefined;
  }
}

/** A query. */
export function queryPacket(questions: readonly Question[]): Uint8Array {
  return encode({ type: "query", questions: [...questions] });
}

/** A response as mDNS sends it: without an id, and authoritative. */
export function responsePacket(answers: readonly Answer[], additionals: readonly Answer[]): Uint8Array {
  const flags = AUTHORITATIVE_ANSWER;
  return encode({ type: "response", flags, answers: [...answers], additionals: [...additionals] });
}

/** The decoder allocates what the header announces, so a header may not announce more than the packet has room for. */
function isPlausible(buffer: Buffer): boolean {
  if (buffer.length < HEADER_SIZE || buffer.length > MAX_PACKET || (buffer.readUInt16BE(2) & CODES) !== 0) return false;
  const questions = buffer.readUInt16BE(4);
  const records = buffer.readUInt16BE(6) + buffer.readUInt16BE(8) + buffer.readUInt16BE(10);
  const least = HEADER_SIZE + questions * LEAST_QUESTION + records * LEAST_RECORD;
  return questions + records <= MAX_ENTRIES && least <= buffer.length;
}
