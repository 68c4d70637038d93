import { type Network, subsidy, targetFromBits } from "@adit/bitcoin";
import type { NodeHeader, NodeTemplate } from "@adit/bitcoin-node";

/** Blocks between two changes of the target. */
const RETARGET_INTERVAL = 2_016;

/**
 * A template without transactions on a new tip, from the tip's header alone: it keeps miners off the old tip while the
 * node builds a full one. Undefined where the header does not tell the next block's target: at a retarget, and on
 * testnet4, whose target depends on the time.
 *
 * @param last the newest template of the tip before: version bits and limits are carried over from it
 * @param curTime the node's time, in Unix seconds
 */
export function stopgapTemplate(
  header: NodeHeader,
  { network, last, curTime }: { readonly network: Network; readonly last: NodeTemplate; readonly curTime: number },
): NodeTemplate | undefined {
  const height = header.height + 1;
  const retargets = network !== "regtest" && height % RETARGET_INTERVAL === 0;
  if (network === "testnet4" || retargets || header.medianTimePast === undefined) return undefined;
  return {
    ...last,
    prevHash: header.hash,
    height,
    bits: header.bits,
    target: targetFromBits(header.bits),
    minTime: header.medianTimePast + 1,
    curTime,
    coinbaseValue: subsidy(height, network),
    transactions: [],
    witnessCommitment: undefined,
    longPollId: undefined,
  };
}
