import {
  assembleCoinbase,
  decodeBlock,
  encodeHeader,
  hex,
  meetsTarget,
  pureHashing,
  targetFromBits,
  targetToBytes,
} from "@adit/bitcoin";
import { type DeclareMiningJob, type JobDeclarationMessage, type PushSolution, u256 } from "@adit/codec";
import { authorityPublicKey, pureCrypto } from "@adit/noise";
import { readDeclaredCoinbase } from "../core/declared-coinbase.ts";
import type { CheckVerdict, DeclaratorEffect, DeclaratorInput } from "../core/effects.ts";
import { JobDeclarator } from "../core/job-declarator.ts";
import type { KnownTransaction } from "../core/known-transaction.ts";
import type { DeclaratorLimits } from "../core/limits.ts";
import type { DeclaratorTip } from "../core/tip.ts";
import { TokenMinter } from "../token-minter.ts";
import { coinbaseParts, PAYOUT_SCRIPT, type SampleCoinbase, tipBelow } from "./sample-template.ts";

/** Secret key of the authority in tests. */
export const AUTHORITY_SECRET: Uint8Array = new Uint8Array(32).fill(3);

/** Its public key. */
export const AUTHORITY: Uint8Array = authorityPublicKey(AUTHORITY_SECRET);

/** Limits as the config has them by default. */
export const LIMITS: DeclaratorLimits = {
  firstRequestMs: 30_000,
  maxTokensPerConnection: 4,
  maxTokens: 4_096,
  tokensPerSecond: 1,
  tokenBurst: 8,
  maxHeldTokenRequests: 8,
  maxPendingPerConnection: 2,
  maxPending: 64,
  missingTimeoutMs: 30_000,
  tipWaitMs: 5_000,
  declarationTimeoutMs: 90_000,
  maxJobsPerConnection: 16,
  maxJobs: 1_024,
  maxJobBytes: 256 * 1024 * 1024,
  maxTransactionsPerMinute: 100_000,
  maxMessagesPerMinute: 600,
  maxSolutionsPerMinute: 60,
};

/** Bytes that look random and never repeat. */
export function countingEntropy(): (length: number) => Uint8Array {
  let drawn = 0;
  return (length) => {
    drawn += 1;
    const bytes = new Uint8Array(length).fill(0xaa);
    new DataView(bytes.buffer).setUint32(0, drawn);
    return bytes;
  };
}

/** What a test declares; the coinbase fits the transactions unless it says otherwise. */
export interface SampleDeclaration {
  readonly requestId: number;
  readonly token: Uint8Array;
  readonly transactions: readonly KnownTransaction[];
  readonly coinbase: Partial<SampleCoinbase>;
  /** In place of any of the message's own fields. */
  readonly message: Partial<DeclareMiningJob>;
}

/** A {@link JobDeclarator} with a clock that a test moves, on the tip below height 102 of regtest. */
export class Declaring {
  readonly core: JobDeclarator;
  now = 1_800_000_100_000;
  #requests = 0;

  /** `tip`: what it knows from the start; undefined for nothing. */
  constructor(
    limits: Partial<DeclaratorLimits> = {},
    { tip }: { readonly tip: DeclaratorTip | undefined } = { tip: tipBelow(102) },
  ) {
    const entropy = countingEntropy();
    const minter = new TokenMinter({
      crypto: pureCrypto,
      entropy,
      authoritySecretKey: AUTHORITY_SECRET,
      lifetimeSecs: 600,
    });
    this.core = new JobDeclarator({
      limits: { ...LIMITS, ...limits },
      payoutScript: PAYOUT_SCRIPT,
      network: "regtest",
      crypto: pureCrypto,
      hashing: pureHashing,
      minter,
    });
    if (tip !== undefined) this.do({ type: "tip", tip });
  }

  do(input: DeclaratorInput): readonly DeclaratorEffect[] {
    return this.core.handle(input, this.now);
  }

  /** Clients connect, in full-template mode unless told. */
  connect(connections: readonly number[] = [1], declaresTxData = true): void {
    for (const connection of connections) this.do({ type: "connected", connection, declaresTxData });
  }

  message(connection: number, message: JobDeclarationMessage): readonly DeclaratorEffect[] {
    return this.do({ type: "message", connection, message });
  }

  /** Lets time pass, with a tick at its end. */
  pass(ms: number): readonly DeclaratorEffect[] {
    this.now += ms;
    return this.do({ type: "tick" });
  }

  /** A client asks for a token. */
  ask(connection = 1, userIdentifier = "farm"): readonly DeclaratorEffect[] {
    this.#requests += 1;
    return this.message(connection, { name: "AllocateMiningJobToken", userIdentifier, requestId: this.#requests });
  }

  /** A token that a client was given. */
  token(connection = 1, userIdentifier = "farm"): Uint8Array {
    const [given] = tokensIn(this.ask(connection, userIdentifier));
    if (given === undefined) throw new Error("no token was given");
    return given;
  }

  /** A client declares a job, with a fresh token unless told. */
  declare(connection = 1, sample: Partial<SampleDeclaration> = {}): readonly DeclaratorEffect[] {
    const miningJobToken = sample.token ?? this.token(connection);
    return this.message(connection, declaration({ ...sample, token: miningJobToken }));
  }

  /** Declares a job and has it looked up and checked without a fault. */
  succeed(connection = 1, sample: Partial<SampleDeclaration> = {}): readonly DeclaratorEffect[] {
    return this.verdict(this.lookUp(this.declare(connection, sample), sample.transactions ?? []));
  }

  /** Answers the `look-up` in these effects: every transaction of `known` is found. */
  lookUp(effects: readonly DeclaratorEffect[], known: readonly KnownTransaction[]): readonly DeclaratorEffect[] {
    const asked = effects.find((effect) => effect.type === "look-up");
    if (asked === undefined) return effects;
    const found = asked.wtxids.map((wtxid) => known.find((one) => hex(one.wtxid) === hex(wtxid)));
    return this.do({ type: "looked-up", declaration: asked.declaration, transactions: found });
  }

  /** Answers the `check` in these effects. */
  verdict(
    effects: readonly DeclaratorEffect[],
    verdict: CheckVerdict = { kind: "valid" },
  ): readonly DeclaratorEffect[] {
    const asked = effects.find((effect) => effect.type === "check");
    if (asked === undefined) return effects;
    return this.do({ type: "checked", declaration: asked.declaration, verdict });
  }
}

/** `DeclareMiningJob` of a good job but for what a test changes. */
export function declaration(sample: Partial<SampleDeclaration>): DeclareMiningJob {
  const { transactions = [], requestId = 1, token = new Uint8Array() } = sample;
  const wtxids = transactions.map(({ wtxid }) => wtxid);
  const { prefix, suffix } = coinbaseParts({ wtxids, ...sample.coinbase });
  return {
    name: "DeclareMiningJob",
    requestId,
    miningJobToken: token,
    version: 0x20000000,
    coinbaseTxPrefix: prefix,
    coinbaseTxSuffix: suffix,
    wtxidList: wtxids.map((wtxid) => u256(wtxid)),
    excessData: new Uint8Array(),
    ...sample.message,
  };
}

/** `PushSolution` for a job, with its work, or without it. The extranonce is made of `seed`. */
export function solution(
  sample: Partial<SampleDeclaration> = {},
  { seed = 1, hasWork = true, tip = tipBelow(102), version = 0x20000000 } = {},
): PushSolution {
  const { coinbaseTxPrefix, coinbaseTxSuffix } = declaration(sample);
  const coinbase = readDeclaredCoinbase(coinbaseTxPrefix, coinbaseTxSuffix);
  if ("errorCode" in coinbase) throw new Error(coinbase.detail);
  const extranonce = new Uint8Array(coinbase.parts.extranonceSize).fill(seed);
  const leaves = (sample.transactions ?? []).map(({ txid }) => txid);
  const merkleRoot = rootOf(assembleCoinbase(coinbase.parts, extranonce), leaves);
  const header = { version, prevHash: tip.prevHash, merkleRoot, ntime: tip.minNtime, nbits: tip.nbits };
  const target = targetToBytes(targetFromBits(tip.nbits));
  let nonce = 0;
  while (meetsTarget(pureHashing.headerHash(encodeHeader({ ...header, nonce })), target) !== hasWork) nonce += 1;
  const { ntime, nbits } = header;
  return { name: "PushSolution", extranonce, prevHash: u256(tip.prevHash), nonce, ntime, nbits, version };
}

/** Merkle root by pairing from the leaves up, as the protocol's own words have it. */
function rootOf(coinbase: Uint8Array, others: readonly Uint8Array[]): Uint8Array {
  let level: Uint8Array[] = [pureHashing.sha256d(coinbase), ...others];
  while (level.length > 1) {
    level = level.flatMap((left, at) => {
      if (at % 2 === 1) return [];
      return [pureHashing.sha256d(Uint8Array.from([...left, ...(level[at + 1] ?? left)]))];
    });
  }
  return level[0] ?? new Uint8Array(32);
}

/** Tokens given out in these effects. */
export function tokensIn(effects: readonly DeclaratorEffect[]): readonly Uint8Array[] {
  return sentIn(effects).flatMap((message) =>
    message.name === "AllocateMiningJobTokenSuccess" ? [message.miningJobToken] : [],
  );
}

/** Messages sent in these effects. */
export function sentIn(effects: readonly DeclaratorEffect[]): readonly JobDeclarationMessage[] {
  return effects.flatMap((effect) => (effect.type === "send" ? [effect.message] : []));
}

/** The answer to a declaration in these effects: `declared`, an error code with its details, or undefined for none. */
export function answerIn(effects: readonly DeclaratorEffect[]): string | undefined {
  for (const message of sentIn(effects)) {
    if (message.name === "DeclareMiningJobSuccess") return "declared";
    if (message.name !== "DeclareMiningJobError") continue;
    return `${message.errorCode}: ${new TextDecoder().decode(message.errorDetails)}`;
  }
  return undefined;
}

/** Blocks submitted in these effects, taken apart. */
export function blocksIn(effects: readonly DeclaratorEffect[]): readonly ReturnType<typeof decodeBlock>[] {
  return effects.flatMap((effect) => (effect.type === "submit-block" ? [decodeBlock(effect.block.bytes)] : []));
}
