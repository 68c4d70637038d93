import { addressOf, type ScriptKind, scriptKind } from "./address.ts";
import { isWitnessCommitment, MAX_SCRIPT_SIG, parseBip34 } from "./coinbase.ts";
import { BitcoinError } from "./errors.ts";
import type { Network } from "./network.ts";
import { scriptOps } from "./script.ts";
import { decodeTransaction, isCoinbase, type TxOutput } from "./transaction.ts";

/** A coinbase output for a person to read. */
export interface DecodedOutput {
  /** Amount in satoshi. */
  readonly value: bigint;
  /** Who is paid, when the script has an address. */
  readonly address: string | undefined;
  /** Kind of script; `witness-commitment` for the BIP141 commitment. */
  readonly type: ScriptKind | "witness-commitment";
  /** Output script. */
  readonly script: Uint8Array;
}

/** A coinbase for a person to read. */
export interface DecodedCoinbase {
  /** BIP34 height, when the scriptSig begins with a number. */
  readonly height: number | undefined;
  /** Printable ASCII found in the scriptSig, safe to show; "" when there is none. */
  readonly tag: string;
  /** Outputs in order. */
  readonly outputs: readonly DecodedOutput[];
}

/**
 * Reads a coinbase, with or without its witness, for a person. Not for decisions: the tag is a guess.
 *
 * @throws BitcoinError `bad-transaction` or `bad-coinbase`
 */
export function describeCoinbase(tx: Uint8Array, network: Network): DecodedCoinbase {
  const decoded = decodeTransaction(tx);
  const [input] = decoded.inputs;
  if (input === undefined || !isCoinbase(decoded)) {
    throw new BitcoinError("bad-coinbase", "the transaction spends something, so it is not a coinbase");
  }
  return {
    height: parseBip34(input.script),
    tag: tagIn(input.script),
    outputs: decoded.outputs.map((output) => describeOutput(output, network)),
  };
}

function describeOutput({ value, script }: TxOutput, network: Network): DecodedOutput {
  const type = isWitnessCommitment(script) ? "witness-commitment" : scriptKind(script);
  return { value, address: addressOf(script, network), type, script };
}

/** The first push that is text from end to end; else, for pools that write text without a push, every run of four. */
function tagIn(input: Uint8Array): string {
  const scriptSig = input.subarray(0, MAX_SCRIPT_SIG);
  for (const { data } of scriptOps(scriptSig)) {
    if (data.length > 1 && data.every((byte) => byte >= 0x20 && byte <= 0x7e)) return String.fromCharCode(...data);
  }
  return (String.fromCharCode(...scriptSig).match(/[\x20-\x7e]{4,}/g) ?? []).join(" ");
}
