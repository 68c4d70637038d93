import {
  encodeHeader,
  fromHex,
  hash,
  hex,
  meetsTarget,
  pureHashing,
  targetFromDifficulty,
  targetToBytes,
} from "@adit/bitcoin";
import { coinbaseOf, prevHashFromSv1 } from "@adit/sv1";
import type { Sv1Client } from "./sv1-client.ts";
import { until } from "./until.ts";

/** What a miner was told to work on, as the lines had it. */
export interface Sv1Work {
  readonly extranonce1: string;
  readonly extranonce2Size: number;
  readonly difficulty: number;
  /** The nine params of `mining.notify`. */
  readonly notify: readonly unknown[];
  readonly jobId: string;
  readonly ntime: string;
}

/** A share as `mining.submit` has it, but for the name. */
export interface Sv1Submit {
  readonly jobId: string;
  readonly extranonce2: string;
  readonly ntime: string;
  readonly nonce: string;
}

/** The newest work of a client whose subscription had request id 1. */
export async function workOf(client: Sv1Client): Promise<Sv1Work> {
  const notify = await until("a job", () => client.heard("mining.notify")?.params);
  const [, extranonce1, extranonce2Size] = (await client.answer(1)).result as [unknown, string, number];
  const difficulty = client.heard("mining.set_difficulty")?.params?.[0] as number;
  const [jobId, ntime] = [notify[0] as string, notify[7] as string];
  return { extranonce1, extranonce2Size, difficulty, notify, jobId, ntime };
}

/** Hashes until a share of this work meets its difficulty, from a nonce on. */
export function findShare(work: Sv1Work, from = 0): Sv1Submit {
  const [, prevHash, coinb1, coinb2, branches, version, nbits, ntime] = work.notify as [
    string,
    string,
    string,
    string,
    string[],
    string,
    string,
    string,
  ];
  const extranonce2 = "00".repeat(work.extranonce2Size);
  const halves = { coinb1: fromHex(coinb1), coinb2: fromHex(coinb2) };
  const coinbase = coinbaseOf(halves, fromHex(work.extranonce1), fromHex(extranonce2));
  const merklePath = branches.map((branch) => hash(fromHex(branch)));
  const fixed = {
    version: Number.parseInt(version, 16),
    prevHash: prevHashFromSv1(prevHash),
    merkleRoot: pureHashing.merkleRoot(coinbase, merklePath),
    ntime: Number.parseInt(ntime, 16),
    nbits: Number.parseInt(nbits, 16),
  };
  const target = targetToBytes(targetFromDifficulty(work.difficulty));
  for (let nonce = from; ; nonce += 1) {
    if (!meetsTarget(pureHashing.headerHash(encodeHeader({ ...fixed, nonce })), target)) continue;
    return { jobId: work.jobId, extranonce2, ntime, nonce: hex(uint32(nonce)) };
  }
}

/** The params that submit a share. */
export function submitParams(name: string, { jobId, extranonce2, ntime, nonce }: Sv1Submit): readonly string[] {
  return [name, jobId, extranonce2, ntime, nonce];
}

function uint32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value);
  return bytes;
}
