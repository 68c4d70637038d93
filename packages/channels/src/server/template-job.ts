import { BitcoinError, buildCoinbase, parseBip34 } from "@adit/bitcoin";
import { type NewTemplate, u256 } from "@adit/codec";
import type { MiningServerOptions } from "./effects.ts";
import type { UntoldJob } from "./held-work.ts";

/** A template made into a job, or the reason why it cannot be one. */
export type TemplateJob =
  | { readonly kind: "job"; readonly job: UntoldJob }
  | { readonly kind: "refused"; readonly reason: string };

/** Siblings in a merkle path: more than any block's, and no more than mining firmware has room for. */
const MOST_SIBLINGS = 32;
/** Blocks of lower versions have not been valid since BIP65. The header's version is a signed number. */
const LEAST_VERSION = 4;
const GREATEST_VERSION = 0x7fffffff;
/** 21 million bitcoins, in satoshis. */
const MAX_MONEY = 2_100_000_000_000_000n;

/**
 * Assembles the coinbase of a template once for all channels. Refused when the role's outputs do not add up to
 * exactly what the template leaves to them (anything else loses money or the block), when the real coinbase
 * prefix of the template makes the coinbase script longer than consensus allows, or when no block can be as it says.
 */
export function jobFromTemplate(template: NewTemplate, options: MiningServerOptions): TemplateJob {
  const fault = faultOf(template);
  if (fault !== undefined) return { kind: "refused", reason: fault };
  const outputs = options.rewardOutputs(template);
  const sum = outputs.reduce((total, output) => total + output.value, 0n);
  if (sum !== template.coinbaseTxValueRemaining) {
    return { kind: "refused", reason: `reward outputs are ${sum} sat of ${template.coinbaseTxValueRemaining} sat` };
  }
  const coinbasePrefix = template.coinbasePrefix.slice();
  try {
    const coinbase = buildCoinbase({
      txVersion: template.coinbaseTxVersion,
      scriptSigPrefix: coinbasePrefix,
      tag: options.coinbaseTag,
      extranonceSize: options.extranonce.totalSize,
      inputSequence: template.coinbaseTxInputSequence,
      outputs,
      templateOutputs: template.coinbaseTxOutputs,
      templateOutputsCount: template.coinbaseTxOutputsCount,
      locktime: template.coinbaseTxLocktime,
    });
    const job: UntoldJob = {
      origin: { kind: "template", templateId: template.templateId, height: parseBip34(coinbasePrefix) },
      version: template.version,
      versionRollingAllowed: options.versionRollingAllowed,
      coinbaseTxPrefix: coinbase.prefix,
      coinbaseTxSuffix: coinbase.suffix,
      merklePath: template.merklePath.map((sibling) => u256(sibling.slice())),
    };
    return { kind: "job", job };
  } catch (error) {
    if (!(error instanceof BitcoinError)) throw error;
    return { kind: "refused", reason: error.message };
  }
}

/** What no block can have, whatever a template provider says. */
function faultOf({ merklePath, version, coinbaseTxValueRemaining: value }: NewTemplate): string | undefined {
  if (merklePath.length > MOST_SIBLINGS) return `its merkle path has ${merklePath.length} hashes`;
  if (version < LEAST_VERSION || version > GREATEST_VERSION) return `no block may have version ${version}`;
  return value > MAX_MONEY ? `it leaves ${value} sat, more than there are` : undefined;
}
