import { isDeepStrictEqual } from "node:util";
import {
  addressOf,
  assembleCoinbase,
  BitcoinError,
  bip34Prefix,
  bitsFromTarget,
  buildCoinbase,
  checkBlock,
  decodeBlock,
  decodeOutputs,
  decodeTransaction,
  describeCoinbase,
  encodeBlock,
  encodeOutputs,
  encodeTransaction,
  fromHex,
  hash,
  hashFromDisplay,
  legacySigops,
  MAX_TARGET,
  type Network,
  parseBip34,
  restoreWitness,
  scriptFromDescriptor,
  stripWitness,
  type Transaction,
  targetFromBits,
  transactionWeight,
  txid,
  wtxid,
} from "@adit/bitcoin";
import fc from "fast-check";
import { anyBytes, damagedOneOf, textOf, utf8 } from "../arbitraries.ts";
import { rule, type Target, unlessRefused } from "../target.ts";

const networks: readonly Network[] = ["mainnet", "testnet4", "signet", "regtest"];
const u32 = fc.nat(0xffff_ffff);
const script = fc.uint8Array({ maxLength: 60 });

const transaction: fc.Arbitrary<Transaction> = fc
  .record({
    version: u32,
    inputs: fc.array(
      fc.record({
        prevHash: fc.uint8Array({ minLength: 32, maxLength: 32 }).map(hash),
        index: u32,
        script,
        sequence: u32,
        witness: fc.array(script, { maxLength: 3 }),
      }),
      { minLength: 1, maxLength: 4 },
    ),
    outputs: fc.array(fc.record({ value: fc.bigInt(0n, 2n ** 64n - 1n), script }), { maxLength: 4 }),
    locktime: u32,
  })
  .map((tx) => ({ ...tx, segwit: tx.inputs.some(({ witness }) => witness.length > 0) }));

const coinbase = fc
  .tuple(fc.nat(2_000_000), fc.string({ unit: "grapheme-ascii", maxLength: 20 }))
  .map(([height, tag]) => {
    const parts = buildCoinbase({
      txVersion: 2,
      scriptSigPrefix: bip34Prefix(height),
      tag,
      extranonceSize: 20,
      inputSequence: 0xfffffffe,
      outputs: [{ value: 5_000_000_000n, script: Uint8Array.of(0x51) }],
      templateOutputs: new Uint8Array(0),
      templateOutputsCount: 0,
      locktime: 0,
    });
    const stripped = assembleCoinbase(parts, new Uint8Array(20));
    return height % 2 === 0 ? stripped : restoreWitness(stripped);
  });
const encoded = fc.oneof(
  transaction.map((tx) => encodeTransaction(tx)),
  coinbase,
);
/** Many small things from few bytes: what costs most for its length. */
const swarm = fc.tuple(fc.nat(7_000), fc.constantFrom(0, 0xff)).map(([count, fill]) => {
  const head = [1, 0, 0, 0, 1, ...new Uint8Array(40), 0xff, 0xff, 0xff, 0xff, 0xfd, count & 0xff, count >> 8];
  return Uint8Array.from([
    ...head,
    ...new Uint8Array(9 * count).fill(fill === 0 ? 0 : 0),
    ...new Uint8Array(4).fill(fill),
  ]);
});

/** Bytes as a transaction, as a coinbase and its parts, and as outputs. */
export const transactions: Target<Uint8Array> = {
  inputs: fc.oneof(
    { weight: 8, arbitrary: damagedOneOf(encoded) },
    { weight: 1, arbitrary: swarm },
    { weight: 3, arbitrary: anyBytes(400) },
  ),
  run(bytes) {
    checkTransaction(bytes);
    checkOutputs(bytes);
    const height = parseBip34(bytes);
    if (height !== undefined)
      rule(
        Buffer.compare(bip34Prefix(height), bytes.subarray(0, bip34Prefix(height).length)) === 0,
        "a height has two spellings",
      );
    for (const network of networks) checkScript(bytes, network);
    if (bytes.length >= 4) checkBits(new DataView(bytes.buffer, bytes.byteOffset).getUint32(0));
  },
  guided: {
    maxLength: 600,
    dictionary: [
      Uint8Array.of(0, 1),
      Uint8Array.of(0xff, 0xff, 0xff, 0xff),
      Uint8Array.of(0xfd, 0xff, 0xff),
      Uint8Array.of(0x6a, 0x24, 0xaa, 0x21, 0xa9, 0xed),
    ],
  },
};

function checkTransaction(bytes: Uint8Array): void {
  const tx = unlessRefused([BitcoinError], () => decodeTransaction(bytes));
  for (const network of networks) unlessRefused([BitcoinError], () => describeCoinbase(bytes, network));
  unlessRefused([BitcoinError], () => stripWitness(bytes));
  const whole = unlessRefused([BitcoinError], () => restoreWitness(bytes));
  if (whole !== undefined)
    rule(
      Buffer.compare(stripWitness(whole), stripWitness(bytes)) === 0,
      "a coinbase changes when its witness is put back",
    );
  if (tx === undefined) return;
  const again = encodeTransaction(tx);
  rule(Buffer.compare(again, bytes) === 0, "a transaction has two encodings");
  const stripped = encodeTransaction(tx, false);
  rule(isDeepStrictEqual(txid(stripped), txid(tx)), "witnesses change a transaction's id");
  if (!tx.segwit) rule(isDeepStrictEqual(txid(tx), wtxid(tx)), "a transaction without witnesses has two ids");
  rule(transactionWeight(tx) === 3 * stripped.length + again.length, "the weight is not that of the bytes");
  rule(legacySigops(tx) >= 0, "a negative number of sigops");
}

function checkOutputs(bytes: Uint8Array): void {
  const [count = 0] = bytes;
  const outputs = unlessRefused([BitcoinError], () => decodeOutputs(bytes.subarray(1), count));
  if (outputs === undefined) return;
  rule(outputs.length === count, "another number of outputs than asked for");
  rule(Buffer.compare(encodeOutputs(outputs), bytes.subarray(1)) === 0, "outputs change when encoded again");
}

/** An address stands for the script it was made from. */
function checkScript(bytes: Uint8Array, network: Network): void {
  const address = addressOf(bytes, network);
  if (address === undefined) return;
  const back = unlessRefused([BitcoinError], () => scriptFromDescriptor(`addr(${address})`, network));
  // An anchor has an address and is refused as a place for a reward.
  if (back !== undefined) rule(Buffer.compare(back, bytes) === 0, "an address stands for another script");
}

function checkBits(nbits: number): void {
  const target = unlessRefused([RangeError], () => targetFromBits(nbits));
  if (target !== undefined)
    rule(targetFromBits(bitsFromTarget(target)) === target, "a compact target changes when written again");
}

const header = fc.uint8Array({ minLength: 80, maxLength: 80 });
const blocks = fc
  .tuple(header, coinbase, fc.array(transaction, { maxLength: 3 }))
  .map(([head, first, others]) => encodeBlock(head, [first, ...others.map((tx) => encodeTransaction(tx))]));

/** Bytes as a block. */
export const blockBytes: Target<Uint8Array> = {
  inputs: fc.oneof(damagedOneOf(blocks), anyBytes(300)),
  run(bytes) {
    const block = unlessRefused([BitcoinError], () => decodeBlock(bytes));
    const context = {
      height: 1,
      prevHash: new Uint8Array(32),
      target: MAX_TARGET,
      nbits: 0x207fffff,
      medianTimePast: 0,
      now: 0,
      subsidyPlusFees: 0n,
    };
    const faults = checkBlock(bytes, context);
    rule(
      (block === undefined) === faults.includes("bad-block-encoding"),
      "a block is one to the check and none to the decoder",
    );
    rule(new Set(faults).size === faults.length, "a fault is named twice");
  },
  guided: { maxLength: 1_000, dictionary: [] },
};

const key = "02c6047f9441ed7d6d3045406e95c07cd85c778e4b8cef3ca7abac09b95c709ee5";
const xpub =
  "xpub661MyMwAqRbcFtXgS5sYJABqqG9YLmC4Q1Rdap9gSE8NqtwybGhePY2gZ29ESFjqJoCu1Rupje8YtGqsefD265TMg7usUDFdp6W1EGMcet8";
const descriptors: readonly string[] = [
  "addr(bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080)",
  "addr(bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4)",
  "addr(1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa)",
  "addr(bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0)",
  `wpkh(${key})`,
  `pkh(${key})`,
  `sh(wpkh(${key}))`,
  `tr(${key.slice(2)})`,
  `wpkh([d34db33f/84'/0'/0']${xpub}/0/7)`,
  "raw()",
  "addr()",
  "tr()",
  "raw(6a04deadbeef)",
  "raw(deadbeef)#89f8spxm",
];

/** Text as a descriptor, an address, a hash and hexadecimal. */
export const descriptorText: Target<Uint8Array> = {
  inputs: fc.oneof(damagedOneOf(fc.constantFrom(...descriptors).map(utf8)), anyBytes(120)),
  run(bytes) {
    const text = textOf(bytes);
    for (const network of networks) {
      const found = unlessRefused([BitcoinError], () => scriptFromDescriptor(text, network));
      if (found === undefined) continue;
      rule(found.length > 0 && found.length <= 10_000, "a script of no length, or one that cannot be spent");
      checkScript(found, network);
    }
    unlessRefused([BitcoinError], () => hashFromDisplay(text));
    unlessRefused([BitcoinError], () => fromHex(text));
  },
  guided: {
    maxLength: 200,
    dictionary: ["addr(", "wpkh(", "pkh(", "sh(", "tr(", "raw(", ")", "#", "/0", "xpub", "bcrt1", "bc1p"].map(utf8),
  },
};
