import { concatBytes, decodeHeader } from "@adit/bitcoin";
import type { ActivatedJob, FoundBlock } from "@adit/channels";
import { type DeclareMiningJob, type PushSolution, type SetCustomMiningJob, u256 } from "@adit/codec";

/** Where the scriptSig's length is: behind version, input count, and what the only input spends. */
const SCRIPT_SIG_LENGTH_AT = 4 + 1 + 36;
const MARKER_AND_FLAG = Uint8Array.of(0, 1);
/** One item of 32 bytes, the witness reserved value, which is zero (spec 7.2). */
const WITNESS = Uint8Array.of(1, 32, ...new Uint8Array(32));

/** The coinbase of a job as a declaration carries it: with the BIP141 fields that jobs are stripped of (spec 6.4.4). */
export function declaredCoinbase({
  coinbaseTxPrefix,
  coinbaseTxSuffix,
}: Pick<ActivatedJob, "coinbaseTxPrefix" | "coinbaseTxSuffix">): Pick<
  DeclareMiningJob,
  "coinbaseTxPrefix" | "coinbaseTxSuffix"
> {
  return {
    coinbaseTxPrefix: concatBytes(coinbaseTxPrefix.subarray(0, 4), MARKER_AND_FLAG, coinbaseTxPrefix.subarray(4)),
    coinbaseTxSuffix: concatBytes(coinbaseTxSuffix.subarray(0, -4), WITNESS, coinbaseTxSuffix.subarray(-4)),
  };
}

/**
 * A job as the pool is told of it (spec 5.3.18), read from the bytes that miners hash. `coinbasePrefix` is every byte of
 * the scriptSig before the extranonce, as the reference implementation has it, not only the 8 bytes of the spec's table.
 */
export function customJob(
  job: ActivatedJob,
): Omit<SetCustomMiningJob, "name" | "channelId" | "requestId" | "miningJobToken"> {
  const { coinbaseTxPrefix: prefix, coinbaseTxSuffix: suffix, tip } = job;
  return {
    version: job.version,
    prevHash: u256(tip.prevHash),
    minNtime: job.minNtime,
    nbits: tip.nbits,
    coinbaseTxVersion: u32At(prefix, 0),
    coinbasePrefix: prefix.subarray(SCRIPT_SIG_LENGTH_AT + 1),
    coinbaseTxInputNSequence: u32At(suffix, 0),
    coinbaseTxOutputs: suffix.subarray(4, -4),
    coinbaseTxLocktime: u32At(suffix, suffix.length - 4),
    merklePath: job.merklePath,
  };
}

/** A block for the job declarator, which knows its job (spec 6.4.9). */
export function solutionOf({ header, extranonce }: FoundBlock): PushSolution {
  const { prevHash, nonce, ntime, nbits, version } = decodeHeader(header);
  return { name: "PushSolution", extranonce, prevHash: u256(prevHash), nonce, ntime, nbits, version };
}

function u32At(bytes: Uint8Array, at: number): number {
  return new DataView(bytes.buffer, bytes.byteOffset + at, 4).getUint32(0, true);
}
