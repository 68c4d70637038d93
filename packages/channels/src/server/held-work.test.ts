import { hex } from "@adit/bitcoin";
import { u256 } from "@adit/codec";
import { expect, test } from "vitest";
import { defaultChannelLimits } from "./limits.ts";
import {
  bytes32,
  type ClientView,
  effectsOf,
  Harness,
  messagesNamed,
  prevHash,
  shareErrors,
  template,
} from "./testing/harness.ts";

const { jobBurst, jobsPerSecond } = defaultChannelLimits;

function mining(): { readonly harness: Harness; readonly view: ClientView } {
  const harness = new Harness();
  harness.newTip(1);
  harness.connect(1);
  const view = harness.open(1);
  harness.tick(60);
  return { harness, view };
}

const tipOf = (at: number) => ({ prevHash: u256(bytes32(at)) });
const told = (view: ClientView): number => view.jobs.size;
/** The work in hand is a template's: its job has that template's own merkle path. */
const templateOf = (view: ClientView): number => {
  const job = view.jobs.get(view.active ?? 0)?.message;
  return job?.name === "NewExtendedMiningJob" ? (job.merklePath[0]?.[0] ?? -1) : -1;
};

function warnings(effects: Parameters<typeof effectsOf>[0]): readonly string[] {
  return effectsOf(effects, "log").flatMap(({ level, event }) => (level === "warn" ? [event] : []));
}

test("of a flood of templates, channels are told some at once, some a second, and the newest in the end", () => {
  const { harness, view } = mining();
  const before = told(view);
  const effects = [];
  for (let second = 0; second < 10; second += 1) {
    for (let at = 0; at < 300; at += 1) {
      harness.now += 3;
      effects.push(...harness.newWork(2 + (at % 250)));
    }
  }
  expect(told(view) - before).toBeLessThanOrEqual(jobBurst + 10 * jobsPerSecond);
  expect(told(view) - before).toBeGreaterThan(jobBurst);
  harness.newWork(252);
  expect(templateOf(view)).not.toBe(252);
  harness.tick();
  expect(templateOf(view)).toBe(252);
  expect(shareErrors(harness.send(1, view.mine().message))).toEqual([]);
  expect(harness.server.status().held).toBeGreaterThan(2800);
  expect(warnings(effects)).toEqual(["work-comes-too-fast"]);
  const { length } = [...view.jobs];
  harness.tick(60);
  expect(told(view)).toBe(length);
});

test("a new tip does not wait, however many templates came before it, and takes their place", () => {
  const { harness, view } = mining();
  for (let at = 0; at < 500; at += 1) harness.newWork(2);
  for (let at = 0; at < 500; at += 1) harness.input({ type: "template", template: template(3 + (at % 100)) });
  harness.input({ type: "template", template: template(103) });
  harness.input({ type: "prev-hash", prevHash: prevHash(103, tipOf(0xb0)) });
  expect(templateOf(view)).toBe(103);
  expect(shareErrors(harness.send(1, view.mine().message))).toEqual([]);
  const { active } = view;
  harness.tick(5);
  expect(view.active).toBe(active);
});

test("a future template that was held is told within a second, so that its tip needs no more than one message", () => {
  const { harness, view } = mining();
  for (let at = 0; at < jobBurst + 5; at += 1) harness.input({ type: "template", template: template(2 + at) });
  const before = told(view);
  harness.tick();
  expect(told(view)).toBe(before + 1);
  const sent = harness.input({ type: "prev-hash", prevHash: prevHash(1 + jobBurst + 5, tipOf(0xb0)) });
  expect(effectsOf(sent, "send").map(({ message }) => message.name)).toEqual(["SetNewPrevHash"]);
  expect(templateOf(view)).toBe(jobBurst + 6);
});

test("of a storm of tips, channels are told some at once, some a second, and the newest in the end with its newest work", () => {
  const { harness, view } = mining();
  const storm = [];
  for (let second = 0; second < 10; second += 1) {
    for (let at = 0; at < 100; at += 1) {
      harness.now += 10;
      storm.push(...harness.newTip(2 + at, tipOf(1 + ((second * 100 + at) % 250))));
    }
    storm.push(...harness.input({ type: "tick" }));
  }
  expect(messagesNamed(storm, "SetNewPrevHash").length).toBeLessThanOrEqual(jobBurst + 11 * jobsPerSecond);
  storm.push(...harness.newTip(200, tipOf(0xee)));
  harness.newWork(201);
  expect(hex(harness.server.status().tip?.prevHash ?? bytes32(0))).not.toBe(hex(bytes32(0xee)));
  harness.tick(2);
  expect(hex(harness.server.status().tip?.prevHash ?? bytes32(0))).toBe(hex(bytes32(0xee)));
  expect(templateOf(view)).toBe(201);
  expect(shareErrors(harness.send(1, view.mine().message))).toEqual([]);
});

test("a tip that came too soon and before its template is told with it", () => {
  const { harness, view } = mining();
  for (let at = 0; at < jobBurst; at += 1) harness.newTip(2 + at, tipOf(1 + at));
  harness.input({ type: "prev-hash", prevHash: prevHash(99, tipOf(0xee)) });
  harness.input({ type: "template", template: template(99) });
  harness.tick();
  expect(templateOf(view)).toBe(99);
  expect(shareErrors(harness.send(1, view.mine().message))).toEqual([]);
});

test("a tip that is taken back before it was told leaves the work as it is", () => {
  const { harness, view } = mining();
  for (let at = 0; at < jobBurst; at += 1) harness.newTip(2 + at, tipOf(1 + at));
  const { active } = view;
  harness.newTip(98, tipOf(0xee));
  harness.input({ type: "prev-hash", prevHash: prevHash(97, tipOf(jobBurst)) });
  harness.tick(3);
  expect(view.active).toBe(active);
  expect(shareErrors(harness.send(1, view.mine().message))).toEqual([]);
});

test("what is held is forgotten with the template provider it came from", () => {
  const { harness, view } = mining();
  for (let at = 0; at < 100; at += 1) harness.newWork(2 + at);
  const { active } = view;
  harness.input({ type: "template-source-lost" });
  harness.tick(3);
  expect(view.active).toBe(active);
});

test("held future templates are few", () => {
  const { harness, view } = mining();
  for (let at = 0; at < 200; at += 1) harness.input({ type: "template", template: template(2 + at) });
  // Long pushed out by newer ones: as good as never sent.
  harness.input({ type: "prev-hash", prevHash: prevHash(100, tipOf(0xb0)) });
  expect(harness.server.status().activeJob).toBeUndefined();
  harness.newWork(100);
  expect(templateOf(view)).toBe(100);
});
