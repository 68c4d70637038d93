import type { Network } from "@adit/bitcoin";
import type { NodeError } from "./errors.ts";

/*
 * Where Bitcoin Core (28 and later), bcoin 1.0.2 and btcd 0.26 answer differently. Everything else in this package is
 * written for Core; what the other two leave out or spell otherwise is made good here. Found in bcoin's
 * lib/node/rpc.js, and in btcd's rpcserver.go and blockchain/validate.go.
 */

/** Rules to name in `getblocktemplate`: Core and bcoin want segwit, Core on signet its own; btcd reads none. */
export function templateRules(network: Network): readonly string[] {
  return network === "signet" ? ["segwit", "signet"] : ["segwit"];
}

/** Adit's name for the network that `getblockchaininfo` names: Core and bcoin say main, btcd says mainnet. */
export function networkNamed(chain: string): string {
  return chain === "main" ? "mainnet" : chain;
}

/** What decides the units of a template. */
export interface TemplateUnits {
  readonly sigoplimit: number;
  readonly sizelimit: number;
  readonly weightlimit?: number | undefined;
}

/**
 * The limits of a block by BIP141, and what a transaction's `sigops` are multiplied with. Before segwit is in force
 * Core and bcoin count sizes and sigops a quarter as high, and leave the weight limit out; btcd never does.
 */
export function limitsOf({ sigoplimit, sizelimit, weightlimit }: TemplateUnits): {
  readonly weightLimit: number;
  readonly sigopsLimit: number;
  readonly sigopsScale: number;
} {
  if (weightlimit !== undefined) return { weightLimit: weightlimit, sigopsLimit: sigoplimit, sigopsScale: 1 };
  return { weightLimit: sizelimit * 4, sigopsLimit: sigoplimit * 4, sigopsScale: 4 };
}

/**
 * The script of the template's witness commitment, if it counts. bcoin sends one before segwit is in force as well, when it
 * does not list the rule. btcd lists no rules, sends a commitment only when some transaction has a witness, and only the
 * hash in it.
 */
export function commitmentScript(
  given: Uint8Array | undefined,
  rules: readonly string[] | undefined,
): Uint8Array | undefined {
  const counts = rules === undefined || rules.some((rule) => rule === "segwit" || rule === "!segwit");
  if (given === undefined || !counts) return undefined;
  return given.length === 32 ? Uint8Array.of(...COMMITMENT_PREFIX, ...given) : given;
}

/** OP_RETURN, a push of 36 bytes, and the marker of a witness commitment (BIP141). */
const COMMITMENT_PREFIX = [0x6a, 0x24, 0xaa, 0x21, 0xa9, 0xed];

/** `bits` of a header: Core writes 8 hexadecimal digits, btcd leaves leading zeros out, bcoin writes a number. */
export function bitsOf(bits: string | number): number {
  return typeof bits === "number" ? bits : Number.parseInt(bits, 16);
}

/**
 * Whether a header's confirmations are only its depth below the tip's height, which on another branch means nothing:
 * bcoin, told by its way to write `bits`. Core says -1 there.
 */
export function countsByHeight(header: { readonly bits: string | number }): boolean {
  return typeof header.bits === "number";
}

/** Whether `getblockheader` failed for want of the block: -5 from Core and btcd, -1 from bcoin; btcd knows one branch only. */
export function isUnknownBlock({ rpcCode, message }: NodeError): boolean {
  if (rpcCode === -5) return true;
  return (rpcCode === -1 && /block not found/i.test(message)) || (rpcCode === -32603 && /main chain/.test(message));
}

/** Whether `getblockhash` failed because the chain is not that high: -8 from Core and bcoin, -1 from btcd. */
export function isAboveTip({ rpcCode }: NodeError): boolean {
  return rpcCode === -8 || rpcCode === -1;
}

/** Whether `getrawtransaction` failed for want of the transaction: -5 from Core and btcd, -1 from bcoin. */
export function isUnknownTransaction({ rpcCode, message }: NodeError): boolean {
  return rpcCode === -5 || (rpcCode === -1 && /transaction not found/i.test(message));
}

/**
 * Core's word for the reason a node gives for a block. bcoin puts `rejected: ` before it, and means by `bad-prevblk`
 * that it lacks the parent. btcd puts the same before a sentence, and has words of its own for a proposal. Core adds
 * details in brackets to some reasons.
 */
export function coreReason(said: string): string {
  const text = /^rejected: (.*)$/s.exec(said)?.[1];
  if (text === undefined) return synonyms.get(said) ?? said.replace(/ ?\(.*$/s, "");
  if (text === "bad-prevblk") return "prev-blk-not-found";
  return synonyms.get(text) ?? sentences.find(([pattern]) => pattern.test(text))?.[1] ?? text;
}

const synonyms: ReadonlyMap<string, string> = new Map([
  ["bad-cb-value", "bad-cb-amount"],
  ["bad-script-validate", "block-script-verify-flag-failed"],
  ["bad-txns-maturity", "bad-txns-premature-spend-of-coinbase"],
  ["bad-txns-missinginput", "bad-txns-inputs-missingorspent"],
  ["bad-txns-multicoinbase", "bad-cb-multiple"],
  ["bad-txns-nocoinbase", "bad-cb-missing"],
  ["bad-txns-unfinalizedtx", "bad-txns-nonfinal"],
  ["high-sigops", "bad-blk-sigops"],
  ["inconclusive-not-best-prvblk", "inconclusive-not-best-prevblk"],
  ["mandatory-script-verify-flag-failed", "block-script-verify-flag-failed"],
]);

/** What btcd's `submitblock` says, as far as a miner can cause it. The first that fits counts. */
const sentences: readonly (readonly [RegExp, string])[] = [
  [/^already have block \(orphan\)/, "duplicate-inconclusive"],
  [/^already have block/, "duplicate"],
  [/^previous block .* is known to be invalid/, "bad-prevblk"],
  [/^block .* is known to be invalid/, "duplicate-invalid"],
  [/^previous block .* is (?:un|not )known/, "prev-blk-not-found"],
  [/^block hash of .* is higher than/, "high-hash"],
  [/^block (?:target )?difficulty of/, "bad-diffbits"],
  [/^block timestamp of .* too far in the future/, "time-too-new"],
  [/^block timestamp of .* is not after/, "time-too-old"],
  [/is too early on diff adjustment/, "time-timewarp-attack"],
  [/^new blocks with version/, "bad-version"],
  [/^block merkle root is invalid/, "bad-txnmrklroot"],
  [/^block contains duplicate/, "bad-txns-duplicate"],
  [/^block contains unfinalized/, "bad-txns-nonfinal"],
  [/^block contains second coinbase/, "bad-cb-multiple"],
  [/too many signature operations/, "bad-blk-sigops"],
  [/^block's weight metric is too high/, "bad-blk-weight"],
  [/^serialized block is too big/, "bad-blk-length"],
  [/^coinbase transaction script length/, "bad-cb-length"],
  [/^the coinbase signature script/, "bad-cb-height"],
  [/^coinbase transaction for block pays/, "bad-cb-amount"],
  [/either does not exist or has already been spent/, "bad-txns-inputs-missingorspent"],
  [/before required maturity/, "bad-txns-premature-spend-of-coinbase"],
  [/^witness commitment does not match/, "bad-witness-merkle-match"],
  [/witness stack when only one|^the coinbase transaction witness nonce/, "bad-witness-nonce-size"],
  [/no witness commitment present/, "unexpected-witness"],
];
