import { type Hash, hash, meetsTarget, pureHashing, targetFromDifficulty, targetToBytes } from "@adit/bitcoin";
import { coinbaseOf, type Sv1Job } from "../job.ts";
import { Sv1ServerSession } from "../server-session.ts";
import { defaultSv1Limits, type Sv1ServerEffect, type Sv1ServerInput, type Sv1ServerOptions } from "../server-types.ts";

/** A difficulty at which one hash in four is a share, so that tests find them without mining. */
export const EASY = 1e-9;
/** The extranonce the bench hands out. */
export const EXTRANONCE1: Uint8Array = Uint8Array.of(0xa1, 0xb2, 0xc3, 0xd4);
/** The earliest time of the bench's jobs. */
export const NTIME = 0x66000000;

/** A hash whose bytes are all `fill`. */
export function hashOf(fill: number): Hash {
  return hash(new Uint8Array(32).fill(fill));
}

/** A job that differs from a plain one as told. */
export function testJob(id: string, changes: Partial<Sv1Job> = {}): Sv1Job {
  return {
    id,
    prevHash: hashOf(0x11),
    coinb1: new Uint8Array(42).fill(1),
    coinb2: new Uint8Array(60).fill(2),
    merklePath: [hashOf(3), hashOf(4)],
    version: 0x20000000,
    nbits: 0x1d00ffff,
    ntime: NTIME,
    clean: false,
    upstream: `upstream of ${id}`,
    ...changes,
  };
}

/** The parts of a submit, as hex text. */
export interface TestShare {
  readonly extranonce2: string;
  readonly ntime: string;
  readonly nonce: string;
}

/** Searches nonces until the share is one (`hit`) or is none at the difficulty. */
export function findShare(
  job: Sv1Job,
  options: { hit?: boolean; difficulty?: number; version?: number; extranonce1?: Uint8Array; skip?: number } = {},
): TestShare {
  const { hit = true, difficulty = EASY, version = job.version, extranonce1 = EXTRANONCE1, skip = 0 } = options;
  const target = targetToBytes(targetFromDifficulty(difficulty));
  const coinbase = coinbaseOf(job, extranonce1, new Uint8Array(8));
  let left = skip;
  for (let nonce = 1; ; nonce++) {
    const header = { version, prevHash: job.prevHash, ntime: job.ntime, nbits: job.nbits, nonce };
    const { hash } = pureHashing.shareHash({ coinbase, merklePath: job.merklePath, header });
    if (meetsTarget(hash, target) !== hit || left-- > 0) continue;
    const hex = (value: number): string => value.toString(16).padStart(8, "0");
    return { extranonce2: "00".repeat(8), ntime: hex(job.ntime), nonce: hex(nonce) };
  }
}

/** A reply or notification as a miner reads it. */
export interface Line {
  readonly id?: unknown;
  readonly method?: string;
  readonly params?: readonly unknown[];
  readonly result?: unknown;
  readonly error?: readonly [number, string, null] | null;
}

/** A miner at one end of a server session, with a clock that only moves when told. */
export class MinerBench {
  /** The session under test. */
  readonly session: Sv1ServerSession;
  /** All effects so far. */
  readonly effects: Sv1ServerEffect[] = [];
  /** The time in milliseconds. */
  now = 1_000_000;

  constructor(options: Partial<Sv1ServerOptions> = {}) {
    this.session = new Sv1ServerSession({
      extranonce1: EXTRANONCE1,
      extranonce2Size: 8,
      versionMask: 0x1fffe000,
      difficulty: EASY,
      limits: defaultSv1Limits,
      hashing: pureHashing,
      ...options,
    });
  }

  /** Feeds an input and returns its effects. */
  give(input: Sv1ServerInput): readonly Sv1ServerEffect[] {
    const effects = this.session.handle(input, this.now);
    this.effects.push(...effects);
    return effects;
  }

  /** Sends text as a line and returns the lines that come back, raw. */
  raw(line: string): readonly string[] {
    return sent(this.give({ type: "line", line }));
  }

  /** Sends a request and returns the lines that come back, parsed. */
  ask(id: unknown, method: string, params: readonly unknown[]): readonly Line[] {
    return this.raw(JSON.stringify({ id, method, params })).map((line) => JSON.parse(line));
  }

  /** Gives a job and returns the lines that the miner sees. */
  job(job: Sv1Job, difficulty?: number): readonly Line[] {
    return sent(this.give({ type: "job", job, difficulty })).map((line) => JSON.parse(line));
  }

  /** Submits and returns the reply. */
  submit(jobId: string, share: TestShare, options: { bits?: string; id?: unknown; user?: string } = {}): Line {
    const { bits, id = 4, user = "worker" } = options;
    const params = [user, jobId, share.extranonce2, share.ntime, share.nonce, ...(bits === undefined ? [] : [bits])];
    const [reply] = this.ask(id, "mining.submit", params);
    if (reply === undefined) throw new Error("a submit had no reply");
    return reply;
  }

  /** Subscribes and authorizes. */
  connect(): this {
    this.ask(1, "mining.subscribe", ["test/1.0"]);
    this.ask(2, "mining.authorize", ["worker", "x"]);
    return this;
  }

  /** The effects of one kind so far. */
  of<T extends Sv1ServerEffect["type"]>(type: T): readonly Extract<Sv1ServerEffect, { type: T }>[] {
    return this.effects.filter((effect): effect is Extract<Sv1ServerEffect, { type: T }> => effect.type === type);
  }
}

/** The lines among effects. */
export function sent(effects: readonly { readonly type: string; readonly line?: string }[]): readonly string[] {
  return effects.flatMap((effect) => (effect.type === "send" && effect.line !== undefined ? [effect.line] : []));
}

/** What the lines are, in order: the method, or `reply`. */
export function shape(lines: readonly Line[]): readonly string[] {
  return lines.map((line) => line.method ?? "reply");
}
