import { isDeepStrictEqual } from "node:util";
import { pureHashing } from "@adit/bitcoin";
import {
  defaultSv1Limits,
  LineSplitter,
  minerMessageLimits,
  parseMessage,
  poolMessageLimits,
  type Sv1ClientJob,
  Sv1ClientSession,
  Sv1Error,
  Sv1ServerSession,
} from "@adit/sv1";
import fc from "fast-check";
import { anyBytes, damagedOneOf, textOf, utf8 } from "../arbitraries.ts";
import { EASY, EXTRANONCE1, fromMiner, fromPool, lineFrom, testJob } from "../inside.ts";
import { rule, step, type Target, unlessRefused } from "../target.ts";

const NEWLINE = 0x0a;
const ROLLABLE = 0x1fffe000;
/** What any one line of a miner may bring about. */
const MOST_SERVER_EFFECTS = 6;
const MOST_CLIENT_EFFECTS = 2;

function linesOf(valid: readonly string[]): fc.Arbitrary<Uint8Array> {
  const ending = fc.constantFrom("\n", "\n", "\r\n", "\n\n", "");
  // Mostly whole: the first line that is not may end the session.
  const anyLine = fc.oneof(
    { weight: 5, arbitrary: fc.constantFrom(...valid) },
    { weight: 1, arbitrary: lineFrom(valid) },
  );
  const line = fc.tuple(anyLine, ending).map((parts) => parts.join(""));
  const lines = fc.array(line, { maxLength: 40, size: "max" }).map((all) => utf8(all.join("")));
  return fc.oneof({ weight: 3, arbitrary: lines }, { weight: 2, arbitrary: damagedOneOf(lines) }, anyBytes(2_000));
}

const words = (lines: readonly string[]): readonly Uint8Array[] =>
  [
    ...new Set(lines.flatMap((line) => line.match(/"[a-z._-]+"/g) ?? [])),
    "\n",
    "\r\n",
    "null",
    "true",
    "[",
    "]",
    "{}",
    "1e99",
  ].map(utf8);

/** Bytes from a miner, in pieces: lines, messages, and the pool's side of the session. */
export const fromMiners: Target<Uint8Array> = {
  inputs: linesOf(fromMiner),
  run(bytes) {
    const lines = split(bytes, minerMessageLimits.maxLine);
    for (const line of lines) checkMessage(line, minerMessageLimits);
    serve(lines, lines.length % 2 === 0);
  },
  guided: { maxLength: 3_000, dictionary: words(fromMiner) },
};

/** Bytes from a pool, in pieces: lines, messages, and the miner's side of the session. */
export const fromPools: Target<Uint8Array> = {
  inputs: linesOf(fromPool),
  run(bytes) {
    const lines = split(bytes, poolMessageLimits.maxLine);
    for (const line of lines) checkMessage(line, poolMessageLimits);
    mine(lines);
  },
  guided: { maxLength: 6_000, dictionary: words(fromPool) },
};

/** The lines before the first fault; the same ones however the bytes are cut up. */
function split(bytes: Uint8Array, maxLine: number): readonly string[] {
  const whole = pushed([bytes], maxLine);
  const size = 1 + (bytes.length % 97);
  const pieces = Array.from({ length: Math.ceil(bytes.length / size) }, (_, index) =>
    bytes.slice(index * size, (index + 1) * size),
  );
  const inPieces = pushed(pieces, maxLine);
  rule(whole.isBroken === inPieces.isBroken, "whether the bytes are lines depends on how they are cut");
  if (!whole.isBroken) {
    rule(isDeepStrictEqual(whole.lines, inPieces.lines), "lines depend on how the bytes are cut");
    const ends = bytes.lastIndexOf(NEWLINE);
    const expected = ends < 0 ? [] : textOf(bytes.subarray(0, ends)).split("\n");
    const spelled = expected
      .map((line) => (line.endsWith("\r") ? line.slice(0, -1) : line))
      .filter((line) => line !== "");
    rule(isDeepStrictEqual(whole.lines, spelled), "lines are not what lies between newlines");
  }
  return inPieces.lines;
}

function pushed(
  pieces: readonly Uint8Array[],
  maxLine: number,
): { readonly lines: readonly string[]; readonly isBroken: boolean } {
  const splitter = new LineSplitter(maxLine);
  const lines: string[] = [];
  let isBroken = false;
  for (const piece of pieces) {
    const more = unlessRefused([Sv1Error], () => splitter.push(piece));
    rule(!isBroken || more === undefined, "a broken splitter took more bytes");
    isBroken ||= more === undefined;
    lines.push(...(more ?? []));
  }
  return { lines, isBroken };
}

function checkMessage(line: string, limits: typeof minerMessageLimits): void {
  const message = step(() => parseMessage(line, limits));
  if (message.kind === "fault") return;
  const parsed = JSON.parse(line) as { readonly id?: unknown; readonly method?: unknown };
  rule(
    isDeepStrictEqual(JSON.parse(message.id), Object.hasOwn(parsed, "id") ? parsed.id : null),
    "the id's text is not the id",
  );
  if (message.kind === "request") rule(parsed.method === message.method, "a method was read as another");
}

function serve(lines: readonly string[], knowsExtranonce: boolean): void {
  const session = new Sv1ServerSession({
    extranonce1: knowsExtranonce ? EXTRANONCE1 : null,
    extranonce2Size: 8,
    versionMask: ROLLABLE,
    difficulty: EASY,
    limits: defaultSv1Limits,
    hashing: pureHashing,
  });
  const credited = new Set<string>();
  const take = (input: Parameters<Sv1ServerSession["handle"]>[0], now: number): void => {
    const effects = step(() => session.handle(input, now));
    if (input.type === "line") rule(effects.length <= MOST_SERVER_EFFECTS, `${effects.length} effects of one line`);
    for (const effect of effects) {
      if (effect.type === "send") checkSent(effect.line);
      if (effect.type !== "share") continue;
      const hash = Buffer.from(effect.share.hash).toString("hex");
      rule(!credited.has(hash), "a share was credited twice");
      credited.add(hash);
    }
  };
  take({ type: "job", job: testJob("a") }, 0);
  for (const [index, line] of lines.entries()) {
    take({ type: "line", line }, index * 100);
    if (index === 15) take({ type: "extranonce", extranonce1: EXTRANONCE1, extranonce2Size: 8 }, index * 100);
    if (index === 25) take({ type: "job", job: testJob("b", { clean: true }) }, index * 100);
  }
  take({ type: "tick" }, 70_000);
}

function checkSent(line: string): void {
  rule(!/[\r\n]/.test(line), "a line was sent that is two");
  rule(Object.hasOwn(JSON.parse(line) as object, "id"), "a line was sent without an id");
}

function mine(lines: readonly string[]): void {
  const session = new Sv1ClientSession({ userAgent: "t", userName: "w", password: "x", versionRolling: true });
  session.handle({ type: "connected" }, 0);
  for (const [index, line] of lines.entries()) {
    const effects = step(() => session.handle({ type: "line", line }, index * 100));
    rule(effects.length <= MOST_CLIENT_EFFECTS, `${effects.length} effects of one line`);
    for (const effect of effects) {
      if (effect.type === "send") checkSent(effect.line);
      if (effect.type === "job") checkJob(session, effect.job);
    }
  }
  session.handle({ type: "tick" }, 1_000_000);
}

/** A job is whole, and a share of it can be sent. */
function checkJob(session: Sv1ClientSession, job: Sv1ClientJob): void {
  rule(job.prevHash.length === 32 && job.extranonce1.length <= 32, "a hash or an extranonce of the wrong size");
  rule(job.extranonce2Size >= 2 && job.extranonce2Size <= 16, `extranonce2 of ${job.extranonce2Size} bytes`);
  rule((job.versionMask & ~ROLLABLE) === 0, "version bits are rolled that may not be");
  const { ntime, version } = job;
  const submit = { job, extranonce2: new Uint8Array(job.extranonce2Size), ntime, nonce: 1, version };
  const effects = session.handle({ type: "submit", submit }, 0);
  for (const effect of effects) if (effect.type === "send") checkSent(effect.line);
}
