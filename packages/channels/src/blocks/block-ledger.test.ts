import { bip34Prefix, buildCoinbase, encodeHeader, hash, pureHashing, restoreWitness, sha256d } from "@adit/bitcoin";
import { type NewTemplate, type TemplateSetNewPrevHash, u256 } from "@adit/codec";
import { describe, expect, test } from "vitest";
import { BlockLedger, type LedgerBlock, type LedgerEffect } from "./block-ledger.ts";

const bytes32 = (seed: number): Uint8Array => new Uint8Array(32).fill(seed);
const TIP = bytes32(1);

function template(templateId: bigint, options: { height?: number; sibling?: number } = {}): NewTemplate {
  return {
    name: "NewTemplate",
    templateId,
    futureTemplate: true,
    version: 0x20000000,
    coinbaseTxVersion: 2,
    coinbasePrefix: bip34Prefix(options.height ?? 200),
    coinbaseTxInputSequence: 0xfffffffe,
    coinbaseTxValueRemaining: 50n,
    coinbaseTxOutputsCount: 0,
    coinbaseTxOutputs: new Uint8Array(0),
    coinbaseTxLocktime: 0,
    merklePath: [u256(bytes32(options.sibling ?? 5))],
  };
}

function tip(templateId: bigint, prevHash: Uint8Array): { type: "prev-hash"; prevHash: TemplateSetNewPrevHash } {
  const fields = { headerTimestamp: 1, nBits: 0x207fffff, target: u256(bytes32(0xff)) };
  return { type: "prev-hash", prevHash: { name: "SetNewPrevHash", templateId, prevHash: u256(prevHash), ...fields } };
}

/** A block of the template, as a miner would have found it. */
function blockOf(found: NewTemplate, nonce = 7): LedgerBlock {
  const { prefix, suffix } = buildCoinbase({
    txVersion: 2,
    scriptSigPrefix: found.coinbasePrefix,
    tag: "t",
    extranonceSize: 2,
    inputSequence: 0,
    outputs: [{ value: 50n, script: Uint8Array.of(0x51) }],
    templateOutputs: found.coinbaseTxOutputs,
    templateOutputsCount: 0,
    locktime: 0,
  });
  const stripped = Uint8Array.from([...prefix, 1, 2, ...suffix]);
  const merkleRoot = pureHashing.merkleRoot(stripped, found.merklePath);
  const header = encodeHeader({ version: 0x20000001, prevHash: TIP, merkleRoot, ntime: 9, nbits: 0x207fffff, nonce });
  return {
    hash: sha256d(header),
    prevHash: hash(TIP),
    height: 200,
    header,
    coinbase: restoreWitness(stripped),
    templateId: found.templateId,
  };
}

function summary(effects: readonly LedgerEffect[]): readonly string[] {
  return effects.map((effect) =>
    effect.type === "submit" ? `submit under ${effect.solution.templateId}` : effect.result,
  );
}

/** A ledger whose provider is connected and has named the tip. */
function connected(): BlockLedger {
  const ledger = new BlockLedger(pureHashing);
  ledger.handle({ type: "provider-connected" });
  ledger.handle({ type: "template", template: template(1n) });
  ledger.handle(tip(1n, TIP));
  return ledger;
}

describe("the block ledger", () => {
  test("submits a block at once with the header's fields and the whole coinbase", () => {
    const block = blockOf(template(1n));
    expect(connected().handle({ type: "found", block })).toEqual([
      {
        type: "submit",
        hash: block.hash,
        solution: {
          name: "SubmitSolution",
          templateId: 1n,
          version: 0x20000001,
          headerTimestamp: 9,
          headerNonce: 7,
          coinbaseTx: block.coinbase,
        },
      },
    ]);
  });

  test("takes a block for accepted when the next tip is it, and for superseded when it is another of its height", () => {
    const ledger = connected();
    const [mine, late] = [blockOf(template(1n)), blockOf(template(1n), 8)];
    ledger.handle({ type: "found", block: mine });
    ledger.handle({ type: "found", block: late });
    ledger.handle({ type: "template", template: template(2n, { height: 201 }) });
    expect(ledger.handle(tip(2n, mine.hash))).toEqual([
      { type: "settle", hash: late.hash, result: "superseded" },
      { type: "settle", hash: mine.hash, result: "accepted" },
    ]);
    // A reorganisation turns it around; their children change nothing.
    ledger.handle({ type: "template", template: template(3n, { height: 201 }) });
    expect(summary(ledger.handle(tip(3n, late.hash)))).toEqual(["accepted", "superseded"]);
    ledger.handle({ type: "template", template: template(4n, { height: 202 }) });
    expect(ledger.handle(tip(4n, bytes32(9)))).toEqual([]);
  });

  test("leaves a block pending while its tip stands, however many templates come", () => {
    const ledger = connected();
    ledger.handle({ type: "found", block: blockOf(template(1n)) });
    expect(ledger.handle({ type: "template", template: template(2n) })).toEqual([]);
    expect(ledger.handle(tip(2n, TIP))).toEqual([]);
    expect(ledger.handle({ type: "template", template: template(3n, { height: 201 }) })).toEqual([]);
  });

  test("does not guess the fate of a block when the chain went on by several", () => {
    const ledger = connected();
    ledger.handle({ type: "found", block: blockOf(template(1n)) });
    ledger.handle({ type: "template", template: template(9n, { height: 205 }) });
    expect(summary(ledger.handle(tip(9n, bytes32(9))))).toEqual(["unknown"]);
  });

  test("tells what blocks became that were decided unseen, by those that build on them", () => {
    const ledger = new BlockLedger(pureHashing);
    const parent = blockOf(template(1n));
    const rival = blockOf(template(1n), 8);
    const child = { ...blockOf(template(2n, { height: 201 })), prevHash: parent.hash, height: 201 };
    const grandchild = { ...blockOf(template(3n, { height: 202 }), 9), prevHash: child.hash, height: 202 };
    for (const block of [rival, parent, child, grandchild]) ledger.handle({ type: "found", block });
    ledger.handle({ type: "provider-connected" });
    ledger.handle({ type: "template", template: template(9n, { height: 203 }) });
    expect(ledger.handle(tip(9n, grandchild.hash))).toEqual([
      { type: "settle", hash: grandchild.hash, result: "accepted" },
      { type: "settle", hash: child.hash, result: "accepted" },
      { type: "settle", hash: parent.hash, result: "accepted" },
      { type: "settle", hash: rival.hash, result: "superseded" },
    ]);
    // What is known tells of one that comes late, too; it is submitted all the same.
    const late = blockOf(template(1n), 10);
    expect(summary(ledger.handle({ type: "found", block: late }))).toEqual(["submit under 1", "superseded"]);
  });

  test("after a restart tells what a block became by one of its height that was accepted before", () => {
    const ledger = new BlockLedger(pureHashing);
    const [known, open] = [blockOf(template(1n)), blockOf(template(1n), 8)];
    ledger.handle({ type: "found", block: known, result: "accepted" });
    ledger.handle({ type: "found", block: open });
    ledger.handle({ type: "provider-connected" });
    ledger.handle({ type: "template", template: template(9n, { height: 203 }) });
    expect(ledger.handle(tip(9n, bytes32(9)))).toEqual([{ type: "settle", hash: open.hash, result: "superseded" }]);
  });

  test("settles a block at once that was found on a former tip, after submitting it all the same", () => {
    const ledger = connected();
    ledger.handle({ type: "template", template: template(2n, { height: 201 }) });
    ledger.handle(tip(2n, bytes32(9)));
    expect(summary(ledger.handle({ type: "found", block: blockOf(template(1n)) }))).toEqual([
      "submit under 1",
      "superseded",
    ]);
  });

  test("keeps a block found without a provider and submits it under the number its template has now", () => {
    const ledger = connected();
    ledger.handle({ type: "provider-lost" });
    expect(ledger.handle({ type: "found", block: blockOf(template(1n)) })).toEqual([]);
    ledger.handle({ type: "provider-connected" });
    ledger.handle({ type: "template", template: template(40n, { sibling: 6 }) });
    ledger.handle({ type: "template", template: template(41n) });
    expect(summary(ledger.handle(tip(41n, TIP)))).toEqual(["submit under 41"]);
    expect(ledger.handle(tip(41n, TIP))).toEqual([]);
  });

  test("falls back to the former number when no template fits, and corrects itself when one does", () => {
    const ledger = connected();
    ledger.handle({ type: "found", block: blockOf(template(1n)) });
    ledger.handle({ type: "provider-lost" });
    ledger.handle({ type: "provider-connected" });
    ledger.handle({ type: "template", template: template(40n, { sibling: 6 }) });
    expect(summary(ledger.handle(tip(40n, TIP)))).toEqual(["submit under 1"]);
    expect(summary(ledger.handle({ type: "template", template: template(41n) }))).toEqual(["submit under 41"]);
    expect(ledger.handle({ type: "template", template: template(42n) })).toEqual([]);
  });

  test("after a restart submits a block under the number it was found with when no template fits", () => {
    const ledger = new BlockLedger(pureHashing);
    ledger.handle({ type: "found", block: blockOf(template(1n)) });
    ledger.handle({ type: "provider-connected" });
    ledger.handle({ type: "template", template: template(40n, { sibling: 6 }) });
    expect(summary(ledger.handle(tip(40n, TIP)))).toEqual(["submit under 1"]);
  });

  test("submits a block of unknown number only under that of a template which it completes", () => {
    const ledger = new BlockLedger(pureHashing);
    const block = { ...blockOf(template(1n)), templateId: undefined };
    expect(ledger.handle({ type: "found", block })).toEqual([]);
    ledger.handle({ type: "provider-connected" });
    ledger.handle({ type: "template", template: template(1n, { sibling: 6 }) });
    expect(ledger.handle(tip(1n, TIP))).toEqual([]);
    expect(summary(ledger.handle({ type: "template", template: template(2n) }))).toEqual(["submit under 2"]);
  });

  test("follows a bounded number of blocks", () => {
    const ledger = connected();
    for (let nonce = 0; nonce < 100; nonce += 1) ledger.handle({ type: "found", block: blockOf(template(1n), nonce) });
    ledger.handle({ type: "template", template: template(2n, { height: 201 }) });
    expect(ledger.handle(tip(2n, bytes32(9)))).toHaveLength(64);
  });
});
