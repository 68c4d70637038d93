import { decodeHeader, HEADER_SIZE, type TemplateDistributionMessage, u256 } from "@adit/codec";
import { describe, expect, test } from "vitest";
import { TemplateQueue } from "./template-queue.ts";

const NEW_TEMPLATE = 0x71;
const SET_NEW_PREV_HASH = 0x72;

function template(templateId: number, futureTemplate: boolean): TemplateDistributionMessage {
  return {
    name: "NewTemplate",
    templateId: BigInt(templateId),
    futureTemplate,
    version: 0x20000000,
    coinbaseTxVersion: 2,
    coinbasePrefix: new Uint8Array(2),
    coinbaseTxInputSequence: 0,
    coinbaseTxValueRemaining: 0n,
    coinbaseTxOutputsCount: 0,
    coinbaseTxOutputs: new Uint8Array(0),
    coinbaseTxLocktime: 0,
    merklePath: [],
  };
}

function tip(templateId: number): readonly TemplateDistributionMessage[] {
  const zero = u256(new Uint8Array(32));
  const prevHash = { prevHash: zero, headerTimestamp: 0, nBits: 0, target: zero };
  return [template(templateId, true), { name: "SetNewPrevHash", templateId: BigInt(templateId), ...prevHash }];
}

const refusal = (templateId: number): TemplateDistributionMessage => ({
  name: "RequestTransactionDataError",
  templateId: BigInt(templateId),
  errorCode: "template-id-not-found",
});

/** Type and template id of each waiting frame; every message here begins with its id. */
async function taken(queue: TemplateQueue): Promise<readonly (readonly [number, number])[]> {
  const frames = (await queue.take()) ?? [];
  return frames.map((frame) => [decodeHeader(frame).messageType, frame[HEADER_SIZE] ?? -1]);
}

describe("the queue of a client", () => {
  test("keeps only the newest template of a tip and everything a new tip needs", async () => {
    const queue = new TemplateQueue(10_000);
    queue.push(tip(1));
    queue.push([template(2, false)]);
    queue.push([template(3, false)]);
    expect(await taken(queue)).toEqual([
      [NEW_TEMPLATE, 1],
      [SET_NEW_PREV_HASH, 1],
      [NEW_TEMPLATE, 3],
    ]);
  });

  test("drops what a newer tip makes worthless, and never an answer", async () => {
    const queue = new TemplateQueue(10_000);
    queue.push(tip(1));
    queue.push([refusal(9)]);
    queue.push([template(2, false)]);
    queue.push(tip(3));
    expect(await taken(queue)).toEqual([
      [0x75, 9],
      [NEW_TEMPLATE, 3],
      [SET_NEW_PREV_HASH, 3],
    ]);
  });

  test("overflows by answers and not by templates", () => {
    const queue = new TemplateQueue(1_000);
    for (let id = 0; id < 200; id++) expect(queue.push(tip(id))).toBe("queued");
    const outcomes = Array.from({ length: 50 }, (_, id) => queue.push([refusal(id)]));
    expect(outcomes[0]).toBe("queued");
    expect(outcomes.at(-1)).toBe("overflow");
  });

  test("hands over what comes while it is waited for, and nothing after its end", async () => {
    const queue = new TemplateQueue(10_000);
    const waiting = queue.take();
    queue.push([refusal(1)]);
    expect(await waiting).toHaveLength(1);
    expect(queue.bytes).toBe(0);
    const last = queue.take();
    queue.end();
    expect(await last).toBeUndefined();
    queue.push([refusal(2)]);
    expect(await queue.take()).toBeUndefined();
  });

  test("gives what waits after it is finished, a notice first, and takes nothing more", async () => {
    const queue = new TemplateQueue(10_000);
    queue.push([refusal(1)]);
    const notice = Uint8Array.of(0, 0, 0x04, 0, 0, 0);
    queue.pushFirst(notice);
    queue.finish();
    queue.push([refusal(2)]);
    expect(await queue.take()).toEqual([notice, expect.any(Uint8Array)]);
    expect(await queue.take()).toBeUndefined();
  });
});
