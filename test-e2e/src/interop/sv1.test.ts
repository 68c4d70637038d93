import { type Hash, hash, meetsTarget, pureHashing, targetFromDifficulty, targetToBytes } from "@adit/bitcoin";
import {
  coinbaseOf,
  defaultSv1Limits,
  ROLLABLE_VERSION_BITS,
  roundDifficultyDown,
  Sv1ClientSession,
  type Sv1Job,
  type Sv1ServerEffect,
  Sv1ServerSession,
  type Sv1Share,
} from "@adit/sv1";
import { describe, expect, test } from "vitest";
import { Random } from "../harness/random.ts";
import { hex } from "./codec-peer.ts";
import { peerLines } from "./peer-lines.ts";
import { interopSeed as seed } from "./seed.ts";

const SESSIONS = 400;
const NOW = 1_000_000;
/** One hash in four is a share. */
const EASY = 1e-9;

type Fields = Readonly<Record<string, unknown>>;

/** Ids are compared as text: they may be larger than a number can hold. */
const idOf = (line: string): string | undefined => /"id":(\d+)/.exec(line)?.[1];

/** What sv1_api reads in lines, in order. */
async function readThere(lines: readonly string[]): Promise<readonly Fields[]> {
  const read: Fields[] = [];
  for await (const line of peerLines("codec-peer", ["sv1-read"], lines)) {
    const { id: _, ...fields } = JSON.parse(line) as Fields;
    const id = idOf(line);
    read.push(id === undefined ? fields : { id, ...fields });
  }
  return read;
}

/** The lines that sv1_api's client writes for requests, in order. */
async function writeThere(requests: readonly Fields[]): Promise<readonly string[]> {
  const lines: string[] = [];
  const descriptions = requests.map(({ id, ...fields }) => `{"id":${String(id)},${JSON.stringify(fields).slice(1)}`);
  for await (const line of peerLines("codec-peer", ["sv1-write"], descriptions)) {
    const { line: written, error } = JSON.parse(line) as { readonly line?: string; readonly error?: string };
    if (written === undefined) throw new Error(error);
    lines.push(written);
  }
  return lines;
}

function sent(effects: readonly { readonly type: string; readonly line?: string }[]): readonly string[] {
  return effects.flatMap(({ type, line }) => (type === "send" && line !== undefined ? [line] : []));
}

function randomHash(random: Random): Hash {
  return hash(random.bytes(32));
}

function randomJob(random: Random, id: string): Sv1Job {
  return {
    id,
    prevHash: randomHash(random),
    coinb1: random.bytes(random.length(600, 100)),
    coinb2: random.bytes(random.length(600, 100)),
    merklePath: Array.from({ length: random.length(16, 4) }, () => randomHash(random)),
    version: random.uint32(),
    nbits: random.uint32(),
    ntime: random.upTo(0xffff0000),
    clean: random.oneIn(2),
    upstream: undefined,
  };
}

const randomId = (random: Random): string => random.pick(["0", "1", "18446744073709551615", `${random.uint32()}`]);

/** One miner that speaks with sv1_api's lines, and our server session that hears them. */
interface Miner {
  readonly random: Random;
  readonly session: Sv1ServerSession;
  readonly extranonce1: Uint8Array;
  readonly extranonce2Size: number;
  readonly upstreamMask: number;
  /** Requests before the first job, as sv1-write takes them. */
  readonly hello: readonly Fields[];
  /** The bits asked for; undefined when it did not ask. */
  readonly askedMask: number | undefined;
  readonly job: Sv1Job;
}

function randomMiner(index: number): Miner {
  const random = new Random(seed, index);
  const extranonce1 = random.bytes(random.length(32, 8));
  const extranonce2Size = 2 + random.upTo(6);
  const upstreamMask = random.pick([0, ROLLABLE_VERSION_BITS, random.uint32()]);
  const session = new Sv1ServerSession({
    extranonce1,
    extranonce2Size,
    versionMask: upstreamMask,
    difficulty: EASY,
    limits: defaultSv1Limits,
    hashing: pureHashing,
  });
  const asks = random.oneIn(2);
  const mask = random.pick([null, ROLLABLE_VERSION_BITS, random.uint32()]);
  const configure = asks
    ? { kind: "configure", mask, min_bit_count: random.pick([null, 2]) }
    : { kind: "configure_nothing" };
  const name = random.text(random.length(60, 60));
  const hello = [
    { id: randomId(random), ...configure },
    {
      id: randomId(random),
      kind: "subscribe",
      user_agent: random.text(random.length(60, 60)),
      extranonce1: random.pick([null, "08000002"]),
    },
    { id: randomId(random), kind: "extranonce_subscribe" },
    { id: randomId(random), kind: "authorize", user_name: name, password: random.text(8) },
  ];
  const askedMask = asks ? (mask ?? 0xffffffff) : undefined;
  const job = randomJob(random, `${index}a`);
  return { random, session, extranonce1, extranonce2Size, upstreamMask, hello, askedMask, job };
}

function grantedMask({ askedMask, upstreamMask }: Miner): number {
  return ((askedMask ?? 0) & upstreamMask & ROLLABLE_VERSION_BITS) >>> 0;
}

function notifyFields(job: Sv1Job, granted: number, clean: boolean): Fields {
  return {
    kind: "notify",
    job_id: job.id,
    prev_hash: hex(job.prevHash),
    coinb1: hex(job.coinb1),
    coinb2: hex(job.coinb2),
    merkle_path: job.merklePath.map((branch) => hex(branch)),
    version: (job.version & ~granted) >>> 0,
    nbits: job.nbits,
    ntime: job.ntime,
    clean,
  };
}

/** A nonce and rolled bits that make a share. */
function findShare(miner: Miner): Omit<Fields, "id"> & { readonly nonce: number; readonly version: number } {
  const { job, extranonce1, extranonce2Size, random } = miner;
  const granted = grantedMask(miner);
  const extranonce2 = random.bytes(extranonce2Size);
  const bits = (random.uint32() & granted) >>> 0;
  const version = ((job.version & ~granted) | bits) >>> 0;
  const coinbase = coinbaseOf(job, extranonce1, extranonce2);
  const target = targetToBytes(targetFromDifficulty(EASY));
  for (let nonce = random.uint32(); ; nonce = (nonce + 1) >>> 0) {
    const header = { version, prevHash: job.prevHash, ntime: job.ntime, nbits: job.nbits, nonce };
    const { hash } = pureHashing.shareHash({ coinbase, merklePath: job.merklePath, header });
    if (!meetsTarget(hash, target)) continue;
    const version_bits = granted === 0 ? null : bits;
    return { extranonce2: hex(extranonce2), ntime: job.ntime, nonce, version_bits, version };
  }
}

describe("a miner built on sv1_api and our pool side", () => {
  const miners = Array.from({ length: SESSIONS }, (_, index) => randomMiner(index));
  const effects: Sv1ServerEffect[][] = miners.map(() => []);

  /** Feeds each miner's session the lines sv1_api writes for its requests, and returns the lines that come back. */
  async function ask(requests: readonly (readonly Fields[])[]): Promise<readonly (readonly string[])[]> {
    const lines = await writeThere(requests.flat());
    let next = 0;
    return requests.map((own, miner) =>
      own.flatMap(() => {
        const line = lines[next++] as string;
        const all = (miners[miner] as Miner).session.handle({ type: "line", line }, NOW);
        effects[miner]?.push(...all);
        return sent(all);
      }),
    );
  }

  test("configure, subscribe, extranonce.subscribe and authorize are understood, and so are the replies", async () => {
    const replies = await ask(miners.map(({ hello }) => hello));
    const expected = miners.flatMap((miner): readonly Fields[] => {
      const [configure, subscribe, extranonceSubscribe, authorize] = miner.hello.map(({ id }) => id);
      const granted = grantedMask(miner);
      const extranonce1 = hex(miner.extranonce1);
      return [
        { id: configure, kind: "configure", mask: granted === 0 ? null : granted, minimum_difficulty: null },
        {
          id: subscribe,
          kind: "subscribe",
          extranonce1,
          extranonce2_size: miner.extranonce2Size,
          subscriptions: [
            ["mining.set_difficulty", extranonce1],
            ["mining.notify", extranonce1],
          ],
        },
        ...(granted === 0 ? [] : [{ kind: "set_version_mask", mask: granted }]),
        { id: extranonceSubscribe, kind: "general", result: true },
        { id: authorize, kind: "general", result: true },
      ];
    });
    expect(await readThere(replies.flat())).toEqual(expected);
    const understood = effects.map((each) => each.filter(({ type }) => type !== "send"));
    expect(understood).toEqual(
      miners.map(({ hello }) => [
        { type: "subscribed", userAgent: hello[1]?.["user_agent"] },
        { type: "authorized", userName: hello[3]?.["user_name"], password: hello[3]?.["password"] },
      ]),
    );
  });

  test("work is read there as it was meant", async () => {
    const lines = miners.flatMap(({ session, job }) => sent(session.handle({ type: "job", job }, NOW)));
    const expected = miners.flatMap((miner) => [
      { kind: "set_difficulty", difficulty: EASY },
      notifyFields(miner.job, grantedMask(miner), true),
    ]);
    expect(await readThere(lines)).toEqual(expected);
  });

  test("its shares are accepted with the values it gave, and what is wrong with others is read there", async () => {
    const found = miners.map((miner) => findShare(miner));
    const submits = miners.map(({ hello, job }, index) => {
      const { version: _, ...share } = found[index] as ReturnType<typeof findShare>;
      const submit = { kind: "submit", user_name: hello[3]?.["user_name"], job_id: job.id, ...share };
      return [
        { id: "7", ...submit },
        { id: "8", ...submit },
        { id: "9", ...submit, job_id: "no such job" },
      ];
    });
    const replies = await ask(submits);
    expect(await readThere(replies.flat())).toEqual(
      miners.flatMap(() => [
        { id: "7", kind: "general", result: true },
        { id: "8", kind: "error", error: [22, "Duplicate share"] },
        { id: "9", kind: "error", error: [21, "Job not found"] },
      ]),
    );
    for (const [index, { job, extranonce1 }] of miners.entries()) {
      const { extranonce2, ntime, nonce, version } = found[index] as ReturnType<typeof findShare>;
      const shares = effects[index]?.flatMap((effect) => (effect.type === "share" ? [effect.share] : [])) ?? [];
      const values = shares.map((share: Sv1Share) => ({ ...share, extranonce2: hex(share.extranonce2) }));
      expect(values).toMatchObject([{ job, extranonce1, extranonce2, ntime, nonce, version }]);
    }
  });

  test("changes of difficulty, extranonce and version mask are read there as they were meant", async () => {
    const lines: string[] = [];
    const expected: Fields[] = [];
    for (const [index, miner] of miners.entries()) {
      const { random, session, askedMask } = miner;
      const difficulty = random.pick([0.00001, 0.5, 1, 8192, 2 ** 32, Number.MAX_SAFE_INTEGER, random.uint32() + 0.7]);
      const extranonce1 = random.bytes(20);
      const extranonce2Size = 2 + random.upTo(6);
      const upstreamMask = random.uint32();
      const job = randomJob(random, `${index}b`);
      for (const input of [
        { type: "difficulty", difficulty } as const,
        { type: "extranonce", extranonce1, extranonce2Size } as const,
        { type: "version-mask", mask: upstreamMask } as const,
        { type: "job", job } as const,
      ]) {
        lines.push(...sent(session.handle(input, NOW)));
      }
      const granted = grantedMask({ ...miner, upstreamMask });
      const told = askedMask === undefined || granted === grantedMask(miner);
      expected.push(
        ...(told ? [] : [{ kind: "set_version_mask", mask: granted }]),
        { kind: "set_extranonce", extranonce1: hex(extranonce1), extranonce2_size: extranonce2Size },
        { kind: "set_difficulty", difficulty: roundDifficultyDown(difficulty) },
        notifyFields(job, granted, true),
      );
    }
    expect(await readThere(lines)).toEqual(expected);
  });

  test("a request to come back is a method that it does not know", async () => {
    expect(await readThere(['{"id":null,"method":"client.reconnect","params":[]}'])).toEqual([
      { error: 'MethodNotFound("client.reconnect")' },
    ]);
  });
});

describe("our miner side and a pool built on sv1_api", () => {
  test("all that it sends is read there as it was meant", async () => {
    const lines: string[] = [];
    const expected: Fields[] = [];
    for (let index = 0; index < SESSIONS; index += 1) {
      const random = new Random(seed, SESSIONS + index);
      const [userAgent, userName, password] = [random.text(20), random.text(random.length(60, 60)), random.text(8)];
      const mask = random.pick([undefined, 0x1fffe000, 0x00006000]);
      const session = new Sv1ClientSession({
        userAgent,
        userName,
        password,
        versionRolling: mask !== undefined,
        extranonceSubscribe: true,
        suggestDifficulty: random.pick([1, 0.5]),
      });
      lines.push(...sent(session.handle({ type: "connected" }, NOW)));
      const hello: readonly Fields[] = [
        ...(mask === undefined
          ? []
          : [{ kind: "configure", mask: ROLLABLE_VERSION_BITS, min_bit_count: 2, subscribe_extranonce: false }]),
        { kind: "subscribe", user_agent: userAgent, extranonce1: null },
        { kind: "extranonce_subscribe" },
        { kind: "authorize", user_name: userName, password },
      ];
      expected.push(...hello.map((fields, at) => ({ id: `${at + 1}`, ...fields })), { kind: "suggest_difficulty" });

      const job = randomJob(random, random.text(1 + random.upTo(15)));
      const extranonce2 = random.bytes(4);
      const [ntime, nonce, version] = [random.uint32(), random.uint32(), random.uint32()];
      const frozen = { extranonce1: new Uint8Array(4), extranonce2Size: 4, difficulty: 1 };
      const clientJob = { ...job, ...frozen, versionMask: mask ?? 0, target: targetFromDifficulty(1) };
      const submit = { job: clientJob, extranonce2, ntime, nonce, version };
      lines.push(...sent(session.handle({ type: "submit", submit }, NOW)));
      expected.push({
        id: `${hello.length + 2}`,
        kind: "submit",
        user_name: userName,
        job_id: job.id,
        extranonce2: hex(extranonce2),
        ntime,
        nonce,
        version_bits: mask === undefined ? null : (version & mask) >>> 0,
      });
    }
    expect(await readThere(lines)).toEqual(expected);
  });
});
