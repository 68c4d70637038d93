import {
  decodeBlock,
  encodeBlock,
  encodeHeader,
  encodeTransaction,
  type HeaderFields,
  hash,
  meetsTarget,
  merkleRootOf,
  sha256d,
  type TxOutput,
  targetFromBits,
  targetToBytes,
  txid,
} from "@adit/bitcoin";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { SolvedBlock } from "../template/solved-block.ts";
import { MINED_AT, MinedChain } from "../testing/mined-chain.ts";
import { HeaderChain } from "./header-chain.ts";
import { type BlockGround, judgeBlock, judgeProposal } from "./submitted-block.ts";

const HEADER_SIZE = 80;

/** A chain of three blocks, and what a block is held against on it. */
function scene(): { readonly mined: MinedChain; readonly ground: BlockGround } {
  const mined = new MinedChain(3);
  const { chain, blocks } = mined;
  const headers = new HeaderChain(blocks.map(({ header }) => header));
  return {
    mined,
    ground: {
      headers,
      bits: chain.bits,
      feeOf: (id) => chain.feeOf(id),
      waiting: (id) => chain.transaction(id),
      now: MINED_AT,
    },
  };
}

interface Change {
  readonly header?: Partial<HeaderFields>;
  readonly outputs?: (outputs: readonly TxOutput[]) => readonly TxOutput[];
  /** Transactions after the coinbase. */
  readonly others?: (others: readonly Uint8Array[]) => readonly Uint8Array[];
  /** Leave the merkle root as it was. */
  readonly keepRoot?: boolean;
}

/** The block with something changed, its merkle root made to fit, and solved again. */
function changed(block: SolvedBlock, { header = {}, outputs, others, keepRoot = false }: Change): Uint8Array {
  const { header: fields, transactions } = decodeBlock(block.bytes);
  const [first, ...rest] = transactions;
  const coinbase = { ...first!, outputs: outputs?.(first!.outputs) ?? first!.outputs };
  const own = rest.map((tx) => encodeTransaction(tx));
  const all = [encodeTransaction(coinbase), ...(others?.(own) ?? own)];
  const merkleRoot = keepRoot ? fields.merkleRoot : merkleRootOf(all.map(txid));
  return encodeBlock(solvedHeader({ ...fields, merkleRoot, ...header }), all);
}

function solvedHeader(fields: HeaderFields): Uint8Array {
  const target = targetToBytes(targetFromBits(fields.nbits));
  for (let nonce = 0; ; nonce += 1) {
    const header = encodeHeader({ ...fields, nonce });
    if (meetsTarget(sha256d(header), target)) return header;
  }
}

const more = (outputs: readonly TxOutput[]): readonly TxOutput[] =>
  outputs.map((output, at) => (at === 0 ? { ...output, value: output.value + 1n } : output));
const withoutCommitment = (outputs: readonly TxOutput[]): readonly TxOutput[] => outputs.slice(0, 1);
const wrongCommitment = (outputs: readonly TxOutput[]): readonly TxOutput[] =>
  outputs.map(({ value, script }, at) => ({ value, script: at === 0 ? script : script.with(20, script[20]! ^ 1) }));
/** A transaction that this chain has not made. */
const foreign = encodeTransaction({
  version: 2,
  inputs: [
    {
      prevHash: hash(new Uint8Array(32).fill(7)),
      index: 0,
      script: new Uint8Array(0),
      sequence: 0xffffffff,
      witness: [],
    },
  ],
  outputs: [{ value: 1_000n, script: Uint8Array.of(0x51) }],
  locktime: 0,
  segwit: false,
});

describe("a block that somebody hands in", () => {
  test("goes on the chain when it is right, and takes what waits out of the mempool", () => {
    const { mined, ground } = scene();
    const solved = mined.solve();
    expect(solved.transactions.length).toBeGreaterThan(0);
    expect(judgeBlock(solved.bytes, ground)).toEqual({ kind: "block", block: { ...solved, solvedBy: "rpc" } });
  });

  test("may hold transactions that others have outbid since, and claim their fees", () => {
    const { mined, ground } = scene();
    const solved = mined.solve();
    for (let round = 0; round < 50; round += 1) mined.chain.arrive();
    expect(solved.transactions.some(({ txid: id }) => mined.chain.transaction(id) === undefined)).toBe(true);
    expect(judgeBlock(solved.bytes, ground)).toMatchObject({ kind: "block", block: { height: 4 } });
  });

  test("is a duplicate when the chain has it", () => {
    const { mined, ground } = scene();
    for (const { bytes } of mined.blocks) {
      expect(judgeBlock(bytes, ground)).toEqual({ kind: "refused", reason: "duplicate" });
    }
  });

  test("is not kept on an earlier block, nor without its parent", () => {
    const { mined, ground } = scene();
    const side = changed(mined.blocks[1]!, {
      outputs: (outputs) => outputs.map((o, at) => (at === 0 ? { ...o, value: 1n } : o)),
    });
    expect(judgeBlock(side, ground)).toEqual({ kind: "refused", reason: "inconclusive" });
    const orphan = changed(mined.solve(), { header: { prevHash: new Uint8Array(32).fill(9) } });
    expect(judgeBlock(orphan, ground)).toEqual({ kind: "refused", reason: "prev-blk-not-found" });
  });

  test.each<[string, Change]>([
    ["bad-cb-amount", { outputs: more }],
    ["bad-witness-merkle-match", { outputs: wrongCommitment }],
    ["unexpected-witness", { outputs: withoutCommitment }],
    ["bad-txnmrklroot", { others: (others) => others.toReversed(), keepRoot: true }],
    ["bad-diffbits", { header: { nbits: 0x207fffff } }],
    ["time-too-old", { header: { ntime: 1 } }],
    ["time-too-new", { header: { ntime: MINED_AT / 1000 + 7_201 } }],
    ["bad-version", { header: { version: 3 } }],
    // Coins are not followed: a transaction of others' is let pass, but pays nothing.
    ["bad-witness-merkle-match", { others: (others) => [...others, foreign] }],
  ])("is refused as %s", (reason, change) => {
    const { mined, ground } = scene();
    expect(judgeBlock(changed(mined.solve(), change), ground)).toEqual({ kind: "refused", reason });
  });

  test("is refused for want of work before anything else", () => {
    const { mined, ground } = scene();
    const { header, transactions } = decodeBlock(mined.solve().bytes);
    let nonce = 0;
    const fields = { ...header, prevHash: new Uint8Array(32) };
    const target = targetToBytes(targetFromBits(header.nbits));
    while (meetsTarget(sha256d(encodeHeader({ ...fields, nonce })), target)) nonce += 1;
    const bytes = encodeBlock(
      encodeHeader({ ...fields, nonce }),
      transactions.map((tx) => encodeTransaction(tx)),
    );
    expect(judgeBlock(bytes, ground)).toEqual({ kind: "refused", reason: "high-hash" });
  });

  test.each([
    ["nothing", new Uint8Array(0)],
    ["a header alone", new Uint8Array(80)],
    ["a block whose first transaction is no coinbase", encodeBlock(new Uint8Array(80), [foreign])],
  ])("is undecodable as %s", (_, bytes) => {
    const { ground } = scene();
    expect(judgeBlock(bytes, ground)).toEqual({ kind: "undecodable" });
    expect(judgeProposal(bytes, ground)).toEqual({ kind: "undecodable" });
  });
});

test("a block with a byte changed behind its header, or cut off, is judged like any other and never taken", () => {
  const { mined, ground } = scene();
  const { bytes } = mined.solve();
  const change = fc.record({
    at: fc.integer({ min: HEADER_SIZE, max: bytes.length - 1 }),
    flip: fc.integer({ min: 1, max: 255 }),
    length: fc.nat(bytes.length),
  });
  fc.assert(
    fc.property(change, ({ at, flip, length }) => {
      const bent = bytes.with(at, bytes[at]! ^ flip);
      for (const block of [bent, bent.subarray(0, length)]) {
        expect(["refused", "undecodable"]).toContain(judgeBlock(block, ground).kind);
        expect(judgeProposal(block, ground)).not.toMatchObject({ reason: null });
      }
    }),
  );
});

describe("a proposal", () => {
  const unsolved = (bytes: Uint8Array): Uint8Array => {
    const { header, transactions } = decodeBlock(bytes);
    let nonce = 0;
    const target = targetToBytes(targetFromBits(header.nbits));
    while (meetsTarget(sha256d(encodeHeader({ ...header, nonce })), target)) nonce += 1;
    return encodeBlock(
      encodeHeader({ ...header, nonce }),
      transactions.map((tx) => encodeTransaction(tx)),
    );
  };

  test("is valid without work", () => {
    const { mined, ground } = scene();
    expect(judgeProposal(unsolved(mined.solve().bytes), ground)).toEqual({ kind: "judged", reason: null });
  });

  test.each<[string, Change]>([
    ["bad-witness-merkle-match", { outputs: wrongCommitment }],
    ["bad-cb-amount", { outputs: more }],
    ["inconclusive-not-best-prevblk", { header: { prevHash: new Uint8Array(32).fill(9) } }],
  ])("is judged %s all the same", (reason, change) => {
    const { mined, ground } = scene();
    const bytes = unsolved(changed(mined.solve(), change));
    expect(judgeProposal(bytes, ground)).toEqual({ kind: "judged", reason });
  });

  test("of a block in the chain is a duplicate", () => {
    const { mined, ground } = scene();
    expect(judgeProposal(mined.blocks[2]!.bytes, ground)).toEqual({ kind: "judged", reason: "duplicate" });
  });
});
