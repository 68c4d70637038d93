import { BitcoinError, buildCoinbase, MAX_MONEY, parseBip34 } from "@adit/bitcoin";
import { type NewTemplate, u256 } from "@adit/codec";
import type { UntoldJob } from "./held-work.ts";
import type { ServerState } from "./server-state.ts";

/** A template made into a job, or the reason why it cannot be one. */
export type TemplateJob =
  | { readonly kind: "job"; readonly job: UntoldJob }
  | { readonly kind: "refused"; readonly reason: string };

/** Siblings in a merkle path: more than any block's, and no more than mining firmware has room for. */
export const MOST_SIBLINGS = 32;
/** Blocks of lower versions have not been valid since BIP65. The header's version is a signed number. */
const LEAST_VERSION = 4;
const GREATEST_VERSION = 0x7fffffff;

/**
 * Assembles the coinbase of a template once for all channels. Refused when the role's outputs do not add up to
 * exactly what the template leaves to them (anything else loses money or the block), when the real coinbase
 * prefix of the template makes the coinbase script longer than consensus allows, or when no block can be as it says.
 */
export function jobFromTemplate(received: NewTemplate, state: Pick<ServerState, "options" | "allocator">): TemplateJob {
  const { options, allocator } = state;
  const template = owned(received);
  const fault = faultOf(template);
  if (fault !== undefined) return { kind: "refused", reason: fault };
  const outputs = options.rewardOutputs(template);
  const sum = outputs.reduce((total, output) => total + output.value, 0n);
  if (sum !== template.coinbaseTxValueRemaining) {
    return { kind: "refused", reason: `reward outputs are ${sum} sat of ${template.coinbaseTxValueRemaining} sat` };
  }
  const { templateId, coinbasePrefix } = template;
  try {
    const coinbase = buildCoinbase({
      txVersion: template.coinbaseTxVersion,
      scriptSigPrefix: coinbasePrefix,
      tag: options.coinbaseTag,
      extranonceSize: allocator.totalSize,
      inputSequence: template.coinbaseTxInputSequence,
      outputs,
      templateOutputs: template.coinbaseTxOutputs,
      templateOutputsCount: template.coinbaseTxOutputsCount,
      locktime: template.coinbaseTxLocktime,
    });
    const job: UntoldJob = {
      origin: { kind: "template", templateId, height: parseBip34(coinbasePrefix), template },
      version: template.version,
      versionRollingAllowed: options.versionRollingAllowed,
      coinbaseTxPrefix: coinbase.prefix,
      coinbaseTxSuffix: coinbase.suffix,
      merklePath: template.merklePath,
    };
    return { kind: "job", job };
  } catch (error) {
    if (!(error instanceof BitcoinError)) throw error;
    return { kind: "refused", reason: error.message };
  }
}

/** Whether a block may have this version, as a number without sign. */
export function isBlockVersion(version: number): boolean {
  return version >= LEAST_VERSION && version <= GREATEST_VERSION;
}

/** Decoded bytes are views into a buffer that is used again. */
function owned(template: NewTemplate): NewTemplate {
  return {
    ...template,
    coinbasePrefix: template.coinbasePrefix.slice(),
    coinbaseTxOutputs: template.coinbaseTxOutputs.slice(),
    merklePath: template.merklePath.map((sibling) => u256(sibling.slice())),
  };
}

/** What no block can have, whatever a template provider says. */
function faultOf({ merklePath, version, coinbaseTxValueRemaining: value }: NewTemplate): string | undefined {
  if (merklePath.length > MOST_SIBLINGS) return `its merkle path has ${merklePath.length} hashes`;
  if (!isBlockVersion(version)) return `no block may have version ${version}`;
  return value > MAX_MONEY ? `it leaves ${value} sat, more than there are` : undefined;
}
