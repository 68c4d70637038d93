import { bip34Prefix, buildCoinbase } from "@adit/bitcoin";
import type { NewExtendedMiningJob } from "@adit/codec";

/** A job as a pool sends it, whose coinbase takes an extranonce of this many bytes, prefix included. */
export function poolJob(
  extranonceSize: number,
  changes: Partial<Omit<NewExtendedMiningJob, "name">> = {},
): NewExtendedMiningJob {
  const { prefix: coinbaseTxPrefix, suffix: coinbaseTxSuffix } = buildCoinbase({
    txVersion: 2,
    scriptSigPrefix: bip34Prefix(800_000),
    tag: "test",
    extranonceSize,
    inputSequence: 0xfffffffe,
    outputs: [{ value: 5_000_000_000n, script: Uint8Array.of(0x51) }],
    templateOutputs: new Uint8Array(0),
    templateOutputsCount: 0,
    locktime: 0,
  });
  const coinbase = { coinbaseTxPrefix, coinbaseTxSuffix, merklePath: [] };
  const header = { jobId: 900, minNtime: 1_700_000_100, version: 0x20000000, versionRollingAllowed: true };
  return { name: "NewExtendedMiningJob", channelId: 0, ...header, ...coinbase, ...changes };
}
