import {
  BitcoinError,
  decodeCountedOutputs,
  encodeOutputs,
  hash,
  hex,
  legacySigops,
  type TxOutput,
} from "@adit/bitcoin";
import type { NewTemplate } from "@adit/codec";
import type { Failure } from "./failure.ts";

/** What templates leave free for outputs, as the template provider was told (spec 7.1). */
export interface OutputSpace {
  /** Bytes of serialized outputs. */
  readonly maxAdditionalSize: number;
  /** Signature operations, each legacy one as the four that it counts for. */
  readonly maxAdditionalSigops: number;
}

/** What a payout has to be. */
export interface PayoutRules {
  readonly space: OutputSpace;
  /** The script that the operator expects to be paid to; undefined when the job declarator's word is taken. */
  readonly expectedScript: Uint8Array | undefined;
}

/** Outputs for the coinbase, of which the first takes everything. */
export type Payout = readonly [TxOutput, ...TxOutput[]];

const OP_RETURN = 0x6a;
/** A legacy signature operation counts four times against a block's limit of 80,000 (BIP141). */
const SIGOP_COST = 4;

/** Reads the outputs of a token (spec 6.4.3); undefined, or what is wrong with them. */
export function readPayout(
  coinbaseTxOutputs: Uint8Array,
  rules: PayoutRules,
): { readonly payout: Payout } | { readonly failure: Failure } {
  const outputs = outputsOf(coinbaseTxOutputs);
  const [first, ...others] = outputs;
  if (first === undefined) return failed("bad-coinbase-outputs", "the token's outputs cannot be read, or are none");
  if (outputs.some(({ value }) => value !== 0n))
    return failed("bad-coinbase-outputs", "an output of the token is not 0");
  if (first.script.length === 0 || first.script[0] === OP_RETURN) {
    return failed("bad-coinbase-outputs", "nobody can spend what the token's first output is paid");
  }
  const problem = spaceProblem(outputs, rules.space);
  if (problem !== undefined) return failed("coinbase-outputs-too-large", problem);
  const { expectedScript } = rules;
  if (expectedScript !== undefined && hex(expectedScript) !== hex(first.script)) {
    return failed("unexpected-payout", `the token pays to script ${hex(first.script).slice(0, 100)}`);
  }
  return { payout: [first, ...others] };
}

/** A payout to one script. */
export function payoutTo(script: Uint8Array): Payout {
  return [{ value: 0n, script }];
}

/** The payout's outputs for a template: the first takes all that the template leaves. */
export function rewardOutputs([first, ...others]: Payout, template: NewTemplate): readonly TxOutput[] {
  return [{ value: template.coinbaseTxValueRemaining, script: first.script }, ...others];
}

/** Whether two payouts are the same outputs in the same order. */
export function isSamePayout(one: Payout, other: Payout): boolean {
  return hex(encodeOutputs(one)) === hex(encodeOutputs(other));
}

/** What the outputs need more than there is, in the words of the config; undefined when they fit. */
function spaceProblem(outputs: readonly TxOutput[], space: OutputSpace): string | undefined {
  const size = encodeOutputs(outputs).length;
  if (size > space.maxAdditionalSize) {
    return `the outputs have ${size} bytes: raise coinbase_output_max_additional_size to that`;
  }
  const sigops = SIGOP_COST * legacySigops({ ...EMPTY_COINBASE, outputs });
  return sigops > space.maxAdditionalSigops
    ? `the outputs have ${sigops} signature operations: raise coinbase_output_max_additional_sigops to that`
    : undefined;
}

const EMPTY_COINBASE = {
  version: 2,
  inputs: [
    { prevHash: hash(new Uint8Array(32)), index: 0xffffffff, script: new Uint8Array(0), sequence: 0, witness: [] },
  ],
  locktime: 0,
  segwit: false,
};

/** Their bytes are their own: decoding copies nothing, and the message is a view. */
function outputsOf(bytes: Uint8Array): readonly TxOutput[] {
  try {
    return decodeCountedOutputs(bytes.slice());
  } catch (error) {
    if (error instanceof BitcoinError) return [];
    throw error;
  }
}

function failed(code: Failure["code"], detail: string): { readonly failure: Failure } {
  return { failure: { code, detail } };
}
