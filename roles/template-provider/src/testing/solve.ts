import {
  assembleCoinbase,
  buildCoinbase,
  encodeHeader,
  meetsTarget,
  pureHashing,
  restoreWitness,
  sha256d,
  stripWitness,
  type TxOutput,
} from "@adit/bitcoin";
import type { NewTemplate, SubmitSolution, TemplateSetNewPrevHash } from "@adit/codec";

/** What a template client is told to work on. */
export interface Work {
  readonly template: NewTemplate;
  readonly prevHash: TemplateSetNewPrevHash;
}

/** Pays to a P2WPKH script with this first byte: 31 bytes and no signature operation. */
export function reward(value: bigint, first = 7): TxOutput {
  return { value, script: Uint8Array.from({ length: 22 }, (_, at) => [0x00, 20, first][at] ?? at) };
}

/** The whole coinbase a pool makes for a template, all value in one output unless told otherwise. */
export function coinbaseFor(
  { template }: Pick<Work, "template">,
  options: { readonly outputs?: readonly TxOutput[]; readonly tag?: string; readonly extranonceSize?: number } = {},
): Uint8Array {
  const extranonceSize = options.extranonceSize ?? 20;
  const parts = buildCoinbase({
    txVersion: template.coinbaseTxVersion,
    scriptSigPrefix: template.coinbasePrefix,
    tag: options.tag ?? "test",
    extranonceSize,
    inputSequence: template.coinbaseTxInputSequence,
    outputs: options.outputs ?? [reward(template.coinbaseTxValueRemaining)],
    templateOutputs: template.coinbaseTxOutputs,
    templateOutputsCount: template.coinbaseTxOutputsCount,
    locktime: template.coinbaseTxLocktime,
  });
  return restoreWitness(assembleCoinbase(parts, new Uint8Array(extranonceSize).fill(0x5a)));
}

/** Searches a nonce that meets the target, or with `miss` one that does not. */
export function solve(
  { template, prevHash }: Work,
  changes: Partial<SubmitSolution> & { readonly miss?: boolean } = {},
): SubmitSolution {
  const { miss = false, ...fields } = changes;
  const solution: SubmitSolution = {
    name: "SubmitSolution",
    templateId: template.templateId,
    version: template.version,
    headerTimestamp: prevHash.headerTimestamp,
    headerNonce: 0,
    coinbaseTx: coinbaseFor({ template }),
    ...fields,
  };
  const merkleRoot = pureHashing.merkleRoot(stripped(solution.coinbaseTx), template.merklePath);
  for (let headerNonce = 0; ; headerNonce++) {
    const header = encodeHeader({
      version: solution.version,
      prevHash: prevHash.prevHash,
      merkleRoot,
      ntime: solution.headerTimestamp,
      nbits: prevHash.nBits,
      nonce: headerNonce,
    });
    if (meetsTarget(sha256d(header), prevHash.target) !== miss) return { ...solution, headerNonce };
  }
}

function stripped(coinbase: Uint8Array): Uint8Array {
  try {
    return stripWitness(coinbase);
  } catch {
    return coinbase;
  }
}
