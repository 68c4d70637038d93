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
  isCoinbase,
  legacySigops,
  meetsTarget,
  pureHashing,
  restoreWitness,
  sha256d,
  type Transaction,
  targetToBytes,
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
 * - `coinbase-witness-missing`: the coinbase came without the witness that a block needs (BIP141)
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
  | "coinbase-witness-missing"
  | "stale-template"
  | "time-before-prevhash"
  | "unknown-template"
  | "version-bits";

/** A solution judged. A block may have faults that its judge lets pass. */
export type SolutionOutcome =
  | { readonly kind: "block"; readonly block: SolvedBlock; readonly faults: readonly SolutionFault[] }
  | { readonly kind: "refused"; readonly faults: readonly SolutionFault[] };

/** What a solution says beside its template's id. */
export type Solution = Omit<SubmitSolution, "name" | "templateId">;

/** Decides whether a solution makes a block. */
export type SolutionJudge = (solution: Solution, context: SolutionContext) => SolutionOutcome;

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
export function checkSolution(solution: Solution, context: SolutionContext): SolutionOutcome {
  const { template, now } = context;
  const coinbase = decodeCoinbase(solution.coinbaseTx);
  if (coinbase === undefined) return { kind: "refused", faults: ["coinbase-encoding"] };
  const block = blockOf(solution, { ...context, coinbase, coinbaseBytes: solution.coinbaseTx });
  const faults: readonly SolutionFault[] = [
    ...checkBlock(block.bytes, {
      ...template,
      nbits: template.bits,
      now: Math.floor(now / 1000),
      subsidyPlusFees: template.valueRemaining,
    }),
    ...templateFaults(solution, { ...context, coinbase }),
  ];
  return faults.length > 0 ? { kind: "refused", faults } : { kind: "block", block, faults };
}

/**
 * Rebuilds the block and lets it pass when it has the work, whatever else is wrong with it: a node is to judge that, and
 * no reward is lost for an opinion of ours. A coinbase without its witness is given one. Cheap: the transactions are the
 * node's own and are not looked at.
 */
export function admitSolution(solution: Solution, context: SolutionContext): SolutionOutcome {
  const coinbase = decodeCoinbase(solution.coinbaseTx);
  if (coinbase === undefined) return { kind: "refused", faults: ["coinbase-encoding"] };
  const isBare = !coinbase.segwit && isCoinbase(coinbase);
  const coinbaseBytes = isBare ? restoreWitness(solution.coinbaseTx) : solution.coinbaseTx;
  const block = blockOf(solution, { ...context, coinbase, coinbaseBytes });
  const faults = templateFaults(solution, { ...context, coinbase });
  if (isBare) faults.push("coinbase-witness-missing");
  if (meetsTarget(block.hash, targetToBytes(context.template.target))) return { kind: "block", block, faults };
  return { kind: "refused", faults: ["high-hash", ...faults] };
}

function decodeCoinbase(bytes: Uint8Array): Transaction | undefined {
  try {
    return decodeTransaction(bytes);
  } catch (error) {
    if (error instanceof BitcoinError) return undefined;
    throw error;
  }
}

interface Rebuilding extends SolutionContext {
  readonly coinbase: Transaction;
  /** As the block is to have it. */
  readonly coinbaseBytes: Uint8Array;
}

function blockOf(solution: Solution, { template, solvedBy, coinbase, coinbaseBytes }: Rebuilding): SolvedBlock {
  const header = encodeHeader({
    version: solution.version,
    prevHash: template.prevHash,
    merkleRoot: pureHashing.merkleRoot(encodeTransaction(coinbase, false), template.merklePath),
    ntime: solution.headerTimestamp,
    nbits: template.bits,
    nonce: solution.headerNonce,
  });
  const { transactions, height } = template;
  const bytes = encodeBlock(header, [coinbaseBytes, ...transactions.map((tx) => tx.bytes)]);
  return { height, hash: sha256d(header), header, coinbase: coinbaseBytes.slice(), bytes, transactions, solvedBy };
}

function templateFaults(
  solution: Solution,
  context: SolutionContext & { readonly coinbase: Transaction },
): SolutionFault[] {
  const { coinbase, template } = context;
  return [
    ...headerFaults(solution, context),
    ...coinbaseFaults(coinbase, template),
    ...outputFaults(coinbase, template),
  ];
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
