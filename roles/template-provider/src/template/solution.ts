import {
  BitcoinError,
  type BlockFault,
  checkBlock,
  decodeOutputs,
  decodeTransaction,
  encodeBlock,
  encodeHeader,
  encodeOutputs,
  encodeTransaction,
  legacySigops,
  pureHashing,
  sha256d,
  type Transaction,
} from "@adit/bitcoin";
import type { SubmitSolution } from "@adit/codec";
import type { BlockTemplate } from "./block-template.ts";
import type { SolvedBlock, SolvedBy } from "./solved-block.ts";

/**
 * What is wrong with a solution. Bitcoin's faults are those of `checkBlock`; the rest are this protocol's: work that
 * departs from its template although a node might accept the block.
 *
 * - `coinbase-encoding`: `coinbase_tx` is not one serialized transaction
 * - `coinbase-exceeds-constraints`: more bytes or signature operations in the added outputs than the client announced
 * - `coinbase-locktime`, `coinbase-prefix`, `coinbase-sequence`, `coinbase-version`: not as the template says
 * - `coinbase-template-outputs`: the template's outputs are not the last ones
 * - `coinbase-value-unclaimed`: pays less than the template offers, so that money would be lost
 * - `stale-template`: built on a block that is not the tip any more
 * - `time-before-prevhash`: time below `header_timestamp` of SetNewPrevHash (spec 7.7)
 * - `unknown-template`: no template with this id is known
 * - `version-bits`: bits outside BIP323 differ from the template's version
 */
export type SolutionFault =
  | BlockFault
  | "coinbase-encoding"
  | "coinbase-exceeds-constraints"
  | "coinbase-locktime"
  | "coinbase-prefix"
  | "coinbase-sequence"
  | "coinbase-template-outputs"
  | "coinbase-value-unclaimed"
  | "coinbase-version"
  | "stale-template"
  | "time-before-prevhash"
  | "unknown-template"
  | "version-bits";

/** A solution judged. */
export type SolutionOutcome =
  | { readonly kind: "block"; readonly block: SolvedBlock }
  | { readonly kind: "refused"; readonly faults: readonly SolutionFault[] };

/** What a solution is held against. */
export interface SolutionContext {
  readonly template: BlockTemplate;
  /** `header_timestamp` the client was last given for this template's tip, Unix seconds. */
  readonly headerTimestamp: number;
  /** Unix milliseconds. */
  readonly now: number;
  readonly solvedBy: SolvedBy;
}

/** The header bits a miner may roll (BIP323). */
const GENERAL_PURPOSE_BITS = 0x1fffffe0;

/** Rebuilds the block from template and solution and checks all of it; every fault is told, not only the first. */
export function checkSolution(
  solution: Omit<SubmitSolution, "name" | "templateId">,
  context: SolutionContext,
): SolutionOutcome {
  const { template, now } = context;
  let coinbase: Transaction;
  try {
    coinbase = decodeTransaction(solution.coinbaseTx);
  } catch (error) {
    if (error instanceof BitcoinError) return { kind: "refused", faults: ["coinbase-encoding"] };
    throw error;
  }
  const header = encodeHeader({
    version: solution.version,
    prevHash: template.prevHash,
    merkleRoot: pureHashing.merkleRoot(encodeTransaction(coinbase, false), template.merklePath),
    ntime: solution.headerTimestamp,
    nbits: template.bits,
    nonce: solution.headerNonce,
  });
  const bytes = encodeBlock(header, [solution.coinbaseTx, ...template.transactions.map((tx) => tx.bytes)]);
  const faults: readonly SolutionFault[] = [
    ...checkBlock(bytes, {
      ...template,
      nbits: template.bits,
      now: Math.floor(now / 1000),
      subsidyPlusFees: template.valueRemaining,
    }),
    ...headerFaults(solution, context),
    ...coinbaseFaults(coinbase, template),
    ...outputFaults(coinbase, template),
  ];
  if (faults.length > 0) return { kind: "refused", faults };
  const { transactions, height } = template;
  const { solvedBy } = context;
  const whole = solution.coinbaseTx.slice();
  return {
    kind: "block",
    block: { height, hash: sha256d(header), header, coinbase: whole, bytes, transactions, solvedBy },
  };
}

function headerFaults(
  solution: Pick<SubmitSolution, "version" | "headerTimestamp">,
  { template, headerTimestamp }: SolutionContext,
): readonly SolutionFault[] {
  const faults: SolutionFault[] = [];
  if (((solution.version ^ template.version) & ~GENERAL_PURPOSE_BITS) !== 0) faults.push("version-bits");
  if (solution.headerTimestamp < headerTimestamp) faults.push("time-before-prevhash");
  return faults;
}

function coinbaseFaults(coinbase: Transaction, template: BlockTemplate): readonly SolutionFault[] {
  const faults: SolutionFault[] = [];
  const [input] = coinbase.inputs;
  const { coinbasePrefix } = template;
  if (coinbase.version !== template.coinbaseVersion) faults.push("coinbase-version");
  if (coinbase.locktime !== template.coinbaseLocktime) faults.push("coinbase-locktime");
  if (input?.sequence !== template.coinbaseSequence) faults.push("coinbase-sequence");
  if (!equal(input?.script.subarray(0, coinbasePrefix.length), coinbasePrefix)) faults.push("coinbase-prefix");
  return faults;
}

function outputFaults(coinbase: Transaction, template: BlockTemplate): readonly SolutionFault[] {
  const faults: SolutionFault[] = [];
  const { outputsCount, room } = template;
  const own = coinbase.outputs.slice(0, -outputsCount);
  if (!equal(encodeOutputs(coinbase.outputs.slice(-outputsCount)), template.outputs)) {
    faults.push("coinbase-template-outputs");
  }
  const templateValue = decodeOutputs(template.outputs, outputsCount).reduce((sum, { value }) => sum + value, 0n);
  const paid = coinbase.outputs.reduce((sum, { value }) => sum + value, 0n);
  if (paid < template.valueRemaining + templateValue) faults.push("coinbase-value-unclaimed");
  const sigops = legacySigops({ ...coinbase, inputs: [], outputs: own });
  const tooMuch = encodeOutputs(own).length > room.maxAdditionalSize || sigops > room.maxAdditionalSigops;
  if (tooMuch) faults.push("coinbase-exceeds-constraints");
  return faults;
}

function equal(left: Uint8Array | undefined, right: Uint8Array): boolean {
  return left?.length === right.length && right.every((byte, at) => byte === left[at]);
}
