import { bip34Prefix } from "@adit/bitcoin";
import { type NewTemplate, type TemplateSetNewPrevHash, u256 } from "@adit/codec";
import { describe, expect, test } from "vitest";
import { StandbyWork, type WorkMessage } from "./standby-work.ts";

function template(id: number, { future = false, height = 100 } = {}): NewTemplate {
  return {
    name: "NewTemplate",
    templateId: BigInt(id),
    futureTemplate: future,
    version: 0x20000000,
    coinbaseTxVersion: 2,
    coinbasePrefix: bip34Prefix(height),
    coinbaseTxInputSequence: 0xfffffffe,
    coinbaseTxValueRemaining: 5n,
    coinbaseTxOutputsCount: 0,
    coinbaseTxOutputs: new Uint8Array(0),
    coinbaseTxLocktime: 0,
    merklePath: [],
  };
}

function prevHash(id: number): TemplateSetNewPrevHash {
  const bytes = u256(new Uint8Array(32).fill(id));
  return {
    name: "SetNewPrevHash",
    templateId: BigInt(id),
    prevHash: bytes,
    headerTimestamp: 1,
    nBits: 0x207fffff,
    target: bytes,
  };
}

function after(...messages: readonly WorkMessage[]): StandbyWork {
  const work = new StandbyWork();
  for (const message of messages) work.add(message);
  return work;
}

const told = (work: StandbyWork): readonly string[] =>
  work.messages.map(({ name, templateId }) => `${name === "NewTemplate" ? "template" : "tip"} ${templateId}`);

describe("the work that a template provider stands by with", () => {
  test("is the newest tip with its template, the newest template on it, and those that wait for a tip", () => {
    const work = after(
      template(1, { future: true }),
      prevHash(1),
      template(2),
      template(3, { future: true }),
      prevHash(3),
      template(4),
      template(5),
      template(6, { future: true }),
    );
    expect(told(work)).toEqual(["template 3", "tip 3", "template 5", "template 6"]);
    expect(work.isThere).toBe(true);
  });

  test("is none before a tip, nor after one whose template is not known", () => {
    expect(after(template(1, { future: true }), template(2)).isThere).toBe(false);
    const lost = after(template(1, { future: true }), prevHash(1), prevHash(9));
    expect([lost.isThere, told(lost)]).toEqual([false, []]);
  });

  test("may be told again on a tip that names a template in use, which then begins it", () => {
    const work = after(template(1, { future: true }), prevHash(1), template(2), prevHash(2));
    expect(told(work)).toEqual(["template 2", "tip 2"]);
    expect(work.messages[0]).toMatchObject({ futureTemplate: true });
  });

  test("keeps the newest eight of templates that wait for a tip", () => {
    const many = Array.from({ length: 20 }, (_, index) => template(index, { future: true }));
    expect(told(after(...many))).toEqual(many.slice(12).map(({ templateId }) => `template ${templateId}`));
  });

  test("is not changed by what becomes of the buffers it came in", () => {
    const message = template(1, { future: true });
    const tip = prevHash(1);
    const work = after(message, tip);
    const before = structuredClone(work.messages);
    message.coinbasePrefix.fill(0xff);
    tip.prevHash.fill(0xff);
    expect(work.messages).toEqual(before);
  });

  test("reaches other work that makes a block no higher", () => {
    const at = (height: number): StandbyWork => after(template(1, { future: true, height }), prevHash(1));
    expect([at(99).reaches(at(100)), at(100).reaches(at(100)), at(101).reaches(at(100))]).toEqual([false, true, true]);
    expect([after().reaches(at(100)), at(100).reaches(after())]).toEqual([false, true]);
  });
});
