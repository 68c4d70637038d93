import { decodeOutputs, displayHash } from "@adit/bitcoin";
import { hexOf } from "@adit/bitcoin-node";
import type { BlockTemplate, CoinbaseRoom } from "../../template/block-template.ts";

/** What Bitcoin Core keeps free for a coinbase: 4,000 weight units in all, and 400 units of signature operations. */
export const coreRoom: CoinbaseRoom = { maxAdditionalSize: 708, maxAdditionalSigops: 100 };

/** A template as the result of `getblocktemplate` (BIP22, BIP23, BIP145). `curTime`: Unix seconds. */
export function templateJson(
  template: BlockTemplate,
  { longPollId, curTime }: { readonly longPollId: string; readonly curTime: number },
): Readonly<Record<string, unknown>> {
  const [commitment] = decodeOutputs(template.outputs, template.outputsCount);
  return {
    capabilities: ["proposal"],
    version: template.version,
    rules: ["csv", "!segwit", "taproot"],
    vbavailable: {},
    vbrequired: 0,
    previousblockhash: displayHash(template.prevHash),
    transactions: template.transactions.map(({ bytes, txid, wtxid, fee, sigopsCost, weight }) => ({
      data: hexOf(bytes),
      txid: displayHash(txid),
      hash: displayHash(wtxid),
      depends: [],
      fee: Number(fee),
      sigops: sigopsCost,
      weight,
    })),
    coinbaseaux: {},
    coinbasevalue: Number(template.valueRemaining),
    longpollid: longPollId,
    target: template.target.toString(16).padStart(64, "0"),
    mintime: template.medianTimePast + 1,
    mutable: ["time", "transactions", "prevblock"],
    noncerange: "00000000ffffffff",
    sigoplimit: 80_000,
    sizelimit: 4_000_000,
    weightlimit: 4_000_000,
    curtime: curTime,
    bits: template.bits.toString(16).padStart(8, "0"),
    height: template.height,
    default_witness_commitment: hexOf(commitment?.script ?? new Uint8Array(0)),
  };
}
