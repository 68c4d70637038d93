import {
  type CoinbaseParts,
  coinbaseAround,
  compactSize,
  decodeCountedOutputs,
  encodeHeader,
  encodeOutputs,
  meetsTarget,
  pureHashing,
  restoreWitness,
  type TxOutput,
  wtxid,
} from "@adit/bitcoin";
import {
  type DeclareMiningJob,
  type NewTemplate,
  type PushSolution,
  type SetCustomMiningJob,
  type SubmitSolution,
  u256,
} from "@adit/codec";
import type { WholeTemplate } from "./template-feed.ts";

/** Marker and flag behind the version, and the reserved value of the witness commitment before the lock time (BIP141). */
const MARKER_AND_FLAG = Uint8Array.of(0, 1);
const WITNESS = Uint8Array.of(1, 32, ...new Uint8Array(32));
const VERSION_SIZE = 4;
const LOCKTIME_SIZE = 4;

/** A token and the outputs that come with it. */
export interface Granted {
  readonly miningJobToken: Uint8Array;
  /** Serialized behind their CompactSize count, the pool's payout first. */
  readonly coinbaseTxOutputs: Uint8Array;
}

/** A nonce that makes a block, and what it was found on. */
export type Solution = Omit<PushSolution, "name">;

/**
 * A job that a client has made of a template and is to declare: right in every respect, and paying everything to the pool.
 * Its messages are plain objects, to be changed by whoever wants them wrong.
 */
export class DeclaredJob {
  /** The coinbase as jobs have it, without its witness. */
  readonly coinbase: CoinbaseParts;
  readonly #whole: WholeTemplate;
  readonly #granted: Granted;
  /** Every byte of the scriptSig before the extranonce. */
  readonly #coinbasePrefix: Uint8Array;
  /** All outputs behind their CompactSize count. */
  readonly #outputs: Uint8Array;

  /** `extranonceSize`: of the whole extranonce, the upstream's prefix included. */
  constructor(whole: WholeTemplate, granted: Granted, extranonceSize: number) {
    const { template } = whole;
    this.#whole = whole;
    this.#granted = granted;
    this.#coinbasePrefix = Uint8Array.of(...template.coinbasePrefix, extranonceSize);
    this.#outputs = fundedOutputs(whole, granted);
    this.coinbase = coinbaseAround({
      txVersion: template.coinbaseTxVersion,
      scriptSigStart: this.#coinbasePrefix,
      extranonceSize,
      inputSequence: template.coinbaseTxInputSequence,
      countedOutputs: this.#outputs,
      locktime: template.coinbaseTxLocktime,
    });
  }

  /** The template it was made of. */
  get template(): NewTemplate {
    return this.#whole.template;
  }

  /** The transactions, which a server may ask for. */
  get transactions(): readonly Uint8Array[] {
    return this.#whole.transactions;
  }

  /** The declaration. */
  declaration(requestId: number): DeclareMiningJob {
    const { prefix, suffix } = this.coinbase;
    return {
      name: "DeclareMiningJob",
      requestId,
      miningJobToken: this.#granted.miningJobToken,
      version: this.#whole.template.version,
      coinbaseTxPrefix: joined(prefix.subarray(0, VERSION_SIZE), MARKER_AND_FLAG, prefix.subarray(VERSION_SIZE)),
      coinbaseTxSuffix: joined(suffix.subarray(0, -LOCKTIME_SIZE), WITNESS, suffix.subarray(-LOCKTIME_SIZE)),
      wtxidList: this.transactions.map((transaction) => u256(wtxid(transaction))),
      excessData: new Uint8Array(0),
    };
  }

  /** The custom job, under the token that the declaration was answered with, or the granted one where nothing is declared. */
  customJob(
    channelId: number,
    requestId: number,
    miningJobToken: Uint8Array = this.#granted.miningJobToken,
  ): SetCustomMiningJob {
    const { template, tip } = this.#whole;
    return {
      name: "SetCustomMiningJob",
      channelId,
      requestId,
      miningJobToken,
      version: template.version,
      prevHash: tip.prevHash,
      minNtime: tip.headerTimestamp,
      nbits: tip.nBits,
      coinbaseTxVersion: template.coinbaseTxVersion,
      coinbasePrefix: this.#coinbasePrefix,
      coinbaseTxInputNSequence: template.coinbaseTxInputSequence,
      coinbaseTxOutputs: this.#outputs,
      coinbaseTxLocktime: template.coinbaseTxLocktime,
      merklePath: template.merklePath,
    };
  }

  /** Hashes until there is a block. */
  solve(extranonce: Uint8Array): Solution {
    const { target } = this.#whole.tip;
    return this.#hash(extranonce, (hash) => meetsTarget(hash, target));
  }

  /** Hashes until there is a share that meets a target (32 bytes, as on the wire), and is no block. */
  share(extranonce: Uint8Array, target: Uint8Array): Solution {
    const { target: block } = this.#whole.tip;
    return this.#hash(extranonce, (hash) => meetsTarget(hash, target) && !meetsTarget(hash, block));
  }

  #hash(extranonce: Uint8Array, isFound: (hash: Uint8Array) => boolean): Solution {
    const { template, tip } = this.#whole;
    const { prevHash, headerTimestamp: ntime, nBits: nbits } = tip;
    const { version, merklePath } = template;
    const merkleRoot = pureHashing.merkleRoot(this.#coinbaseWith(extranonce), merklePath);
    for (let nonce = 0; nonce <= 0xffffffff; nonce += 1) {
      const header = encodeHeader({ version, prevHash, merkleRoot, ntime, nbits, nonce });
      if (isFound(pureHashing.headerHash(header))) return { extranonce, prevHash, nonce, ntime, nbits, version };
    }
    throw new Error("no nonce meets the target");
  }

  /** A block, for the template provider. */
  solution({ extranonce, version, ntime, nonce }: Solution): SubmitSolution {
    const coinbaseTx = restoreWitness(this.#coinbaseWith(extranonce));
    const { templateId } = this.#whole.template;
    return { name: "SubmitSolution", templateId, version, headerTimestamp: ntime, headerNonce: nonce, coinbaseTx };
  }

  #coinbaseWith(extranonce: Uint8Array): Uint8Array {
    return joined(this.coinbase.prefix, extranonce, this.coinbase.suffix);
  }
}

/** The token's outputs, the first of them with all there is to pay, and the template's behind them. */
function fundedOutputs({ template }: WholeTemplate, { coinbaseTxOutputs }: Granted): Uint8Array {
  const [payout, ...others] = decodeCountedOutputs(coinbaseTxOutputs);
  if (payout === undefined) throw new Error("the token came without an output for the pool");
  const own: readonly TxOutput[] = [{ ...payout, value: template.coinbaseTxValueRemaining }, ...others];
  const count = compactSize(own.length + template.coinbaseTxOutputsCount);
  return joined(count, encodeOutputs(own), template.coinbaseTxOutputs);
}

function joined(...parts: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(Buffer.concat(parts));
}
