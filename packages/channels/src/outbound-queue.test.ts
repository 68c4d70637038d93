import type { MiningMessage } from "@adit/codec";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { MiningClient } from "./client/mining-client.ts";
import { bytes32, say } from "./client/testing/server-messages.ts";
import { defaultOutboundLimits, OutboundQueue } from "./outbound-queue.ts";
import { defaultChannelLimits } from "./server/limits.ts";

const GROUP = 100;

/** A queue whose frames lead back to their messages. */
class Line {
  readonly queue: OutboundQueue = new OutboundQueue(defaultOutboundLimits);
  readonly #messages = new Map<Uint8Array, MiningMessage>();

  push(...messages: readonly MiningMessage[]): "queued" | "overflow" {
    let result: "queued" | "overflow" = "queued";
    for (const message of messages) {
      const frame = new Uint8Array(10);
      this.#messages.set(frame, message);
      if (this.queue.push(message, frame) === "overflow") result = "overflow";
    }
    return result;
  }

  shift(): MiningMessage | undefined {
    const frame = this.queue.shift();
    return frame === undefined ? undefined : this.#messages.get(frame);
  }

  drain(): MiningMessage[] {
    return this.queue.take(Number.POSITIVE_INFINITY).map((frame) => this.#messages.get(frame)!);
  }
}

function delivered(...messages: readonly MiningMessage[]): MiningMessage[] {
  const line = new Line();
  expect(line.push(...messages)).toBe("queued");
  return line.drain();
}

describe("an outbound queue conflates", () => {
  test("active jobs to the newest", () => {
    expect(delivered(say.job(1, 7, 9), say.ack(1, 0), say.job(1, 8, 9))).toEqual([say.ack(1, 0), say.job(1, 8, 9)]);
  });

  test("targets to the newest, unless a waiting job is frozen at the older one", () => {
    expect(delivered(say.target(1, 5), say.target(1, 6))).toEqual([say.target(1, 6)]);
    const frozen = [say.target(1, 5), say.job(1, 7, 9), say.target(1, 6)];
    expect(delivered(...frozen)).toEqual(frozen);
    expect(delivered(...frozen, say.job(1, 8, 9))).toEqual([say.target(1, 6), say.job(1, 8, 9)]);
  });

  test("everything of an old tip when the tip changes", () => {
    const old = [say.job(1, 1, null), say.prevHash(1, 1, 1), say.job(1, 2, 9)];
    const fresh = [say.job(1, 3, null), say.prevHash(1, 3, 2)];
    expect(delivered(...old, ...fresh)).toEqual(fresh);
  });

  test("future jobs to those that can still be activated", () => {
    const futures = [1, 2, 3, 4].map((jobId) => say.job(1, jobId, null));
    expect(delivered(...futures)).toEqual(futures.slice(2));
    expect(delivered(futures[0]!, say.prevHash(1, 1, 1), ...futures.slice(1))).toEqual([
      futures[0],
      say.prevHash(1, 1, 1),
      ...futures.slice(2),
    ]);
  });

  test("work of a closed channel to nothing", () => {
    const open = say.open(1, GROUP);
    expect(delivered(open, say.job(1, 1, null), say.prevHash(1, 1, 1), say.close(GROUP))).toEqual([
      open,
      say.close(GROUP),
    ]);
  });
});

describe("a SetNewPrevHash", () => {
  test("goes ahead of replies and other channels' work, behind the future job it names", () => {
    const other = [say.target(2, 5), say.ack(1, 0)];
    const future = say.job(1, 3, null);
    expect(delivered(...other, future, say.prevHash(1, 3, 1))).toEqual([future, say.prevHash(1, 3, 1), ...other]);
  });

  test("takes along the target that its job is frozen at", () => {
    const needed = [say.job(1, 3, null), say.target(1, 5)];
    expect(delivered(say.ack(1, 0), ...needed, say.prevHash(1, 3, 1))).toEqual([
      ...needed,
      say.prevHash(1, 3, 1),
      say.ack(1, 0),
    ]);
  });

  test("stays behind the opening and the extranonce prefix of its channels", () => {
    const start = [say.open(1, GROUP), say.prefix(1, 5), say.job(GROUP, 3, null)];
    const rest = [say.ack(1, 0), say.target(2, 9)];
    expect(delivered(...start, ...rest, say.prevHash(GROUP, 3, 1))).toEqual([
      ...start,
      say.prevHash(GROUP, 3, 1),
      ...rest,
    ]);
  });

  test("ends the connection when it names a job that was conflated away", () => {
    const line = new Line();
    line.push(...[1, 2, 3].map((jobId) => say.job(1, jobId, null)));
    expect(line.push(say.prevHash(1, 1, 1))).toBe("overflow");
  });

  test("ends the connection when it names, for a group, a job that was conflated away on a member", () => {
    const line = new Line();
    line.push(say.open(1, GROUP), ...[1, 2, 3].map((jobId) => say.job(1, jobId, null)));
    expect(line.push(say.prevHash(GROUP, 1, 1))).toBe("overflow");
  });

  test("for a group forgets which jobs of its members were conflated away, since their ids may come again", () => {
    const line = new Line();
    line.push(say.open(1, GROUP), ...[1, 2, 3].map((jobId) => say.job(1, jobId, null)), say.prevHash(GROUP, 3, 1));
    expect(line.push(say.job(GROUP, 1, null), say.prevHash(GROUP, 1, 2))).toBe("queued");
  });
});

describe("a channel that its client closed", () => {
  test("is sent no waiting work", () => {
    const line = new Line();
    line.push(say.open(1, GROUP), say.open(2, GROUP), say.target(1, 5), say.target(2, 6));
    line.push(say.job(GROUP, 3, null), say.prevHash(GROUP, 3, 1));
    line.queue.forget(1);
    const rest = [say.open(1, GROUP), say.open(2, GROUP), say.target(2, 6), say.job(GROUP, 3, null)];
    expect(line.drain()).toEqual([...rest, say.prevHash(GROUP, 3, 1)]);
  });

  test("takes the waiting work of all members along if it is their group", () => {
    const line = new Line();
    line.push(say.ack(1, 0), say.open(1, GROUP), say.target(1, 5), say.job(GROUP, 3, null), say.prevHash(GROUP, 3, 1));
    line.queue.forget(GROUP);
    expect(line.drain()).toEqual([say.ack(1, 0), say.open(1, GROUP)]);
  });

  test("no longer holds back the prevhash of its former group", () => {
    const line = new Line();
    line.push(say.open(1, GROUP), say.open(2, GROUP));
    line.drain();
    line.queue.forget(1);
    const work = [say.job(GROUP, 3, null), say.prevHash(GROUP, 3, 1)];
    line.push(say.ack(1, 0), say.prefix(1, 5), ...work);
    expect(line.drain()).toEqual([...work, say.ack(1, 0), say.prefix(1, 5)]);
  });
});

describe("an outbound queue is bounded", () => {
  test("by few messages per channel when nobody reads", () => {
    const line = new Line();
    for (let jobId = 0; jobId < 1_000; jobId += 2) {
      line.push(say.target(1, jobId + 1), say.job(1, jobId, null), say.target(1, jobId + 2), say.job(1, jobId + 1, 9));
      if (jobId % 10 === 0) line.push(say.prevHash(1, jobId, jobId));
      expect(line.queue.size).toBeLessThanOrEqual(8);
      expect(line.queue.bytes).toBe(line.queue.size * 10);
    }
  });

  test("by its limits on replies, which are never dropped", () => {
    const byCount = new OutboundQueue({ maxMessages: 2, maxBytes: 1_000 });
    const byBytes = new OutboundQueue({ maxMessages: 1_000, maxBytes: 20 });
    for (const queue of [byCount, byBytes]) {
      expect(queue.push(say.ack(1, 0), new Uint8Array(10))).toBe("queued");
      expect(queue.push(say.ack(1, 1), new Uint8Array(10))).toBe("queued");
      expect(queue.push(say.ack(1, 2), new Uint8Array(10))).toBe("overflow");
    }
  });
});

test("an outbound queue takes the opening of as many channels at once as a connection may hold, but only so many bytes", () => {
  const queue = new OutboundQueue(defaultOutboundLimits);
  const frame = new Uint8Array(100);
  for (let id = 1; id <= defaultChannelLimits.channelsPerConnection; id++) {
    for (const message of [say.open(id + GROUP, GROUP), say.job(id + GROUP, 1, null), say.prevHash(id + GROUP, 1, 1)]) {
      expect(queue.push(message, frame)).toBe("queued");
    }
  }
  const last = new Uint8Array(defaultOutboundLimits.maxBytes);
  expect(queue.push(say.open(GROUP - 1, GROUP), last)).toBe("overflow");
});

test("take hands out what fits, and at least one frame", () => {
  const line = new Line();
  line.push(say.ack(1, 0), say.ack(1, 1), say.ack(1, 2));
  expect(line.queue.take(5)).toHaveLength(1);
  expect(line.queue.take(25)).toHaveLength(2);
  expect(line.queue.take(25)).toHaveLength(0);
  expect(line.shift()).toBeUndefined();
});

const CHANNELS = [1, 2, 3];
const GROUPS = [GROUP, 101];

type Step =
  | {
      readonly do:
        | "open"
        | "future"
        | "future-for-each"
        | "activate"
        | "active"
        | "target"
        | "prefix"
        | "ack"
        | "regroup"
        | "close";
      readonly at: number;
    }
  | { readonly do: "read"; readonly count: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    do: fc.constantFrom(
      "open",
      "future",
      "future",
      "future-for-each",
      "activate",
      "activate",
      "active",
      "target",
      "prefix",
      "ack",
      "regroup",
      "close",
    ),
    at: fc.nat(9),
  }) as fc.Arbitrary<Step>,
  fc.record({ do: fc.constant("read" as const), count: fc.nat(6) }),
);

/** A server that only says what the spec allows, judged by a client that reads everything at once. */
class Server {
  readonly fast: MiningClient = new MiningClient();
  readonly slow: MiningClient = new MiningClient();
  readonly line: Line = new Line();
  readonly faults: string[] = [];
  #count = 0;
  readonly #opened = new Set<number>();
  readonly #futures = new Map<number, number[]>();

  constructor() {
    for (const client of [this.fast, this.slow]) {
      for (const channelId of CHANNELS) {
        const userIdentity = `miner ${channelId}`;
        const maxTarget = bytes32(0xffffffff);
        client.openExtended({
          requestId: channelId,
          userIdentity,
          nominalHashRate: 1,
          maxTarget,
          minExtranonceSize: 4,
        });
      }
    }
  }

  run(next: Step): void {
    if (next.do === "read") {
      for (let count = 0; count < next.count; count++) this.#read(this.line.shift());
      return;
    }
    for (const message of this.#messages(next.do, next.at)) {
      this.#deliver(this.fast, message);
      expect(this.line.push(message)).toBe("queued");
    }
  }

  finish(): void {
    for (const message of this.line.drain()) this.#read(message);
  }

  #read(message: MiningMessage | undefined): void {
    if (message !== undefined) this.#deliver(this.slow, message);
  }

  #deliver(client: MiningClient, message: MiningMessage): void {
    for (const event of client.handle(message, 0)) {
      if (event.type === "protocol-fault") this.faults.push(`${event.code}: ${event.detail}`);
    }
  }

  /** A group's future job may also be given to its members one by one, as to those that join late. */
  #messages(kind: Exclude<Step["do"], "read">, at: number): readonly MiningMessage[] {
    if (kind === "future-for-each") {
      const groupId = GROUPS[at % GROUPS.length]!;
      const number = ++this.#count;
      const members = [...this.fast.channels.values()].filter((channel) => channel.groupChannelId === groupId);
      this.#remember(members, number);
      return members.map(({ channelId }) => say.job(channelId, number, null));
    }
    const message = this.#message(kind, at);
    return message === undefined ? [] : [message];
  }

  /** The queue promises no more than that the newest two future jobs of a channel can be activated. */
  #remember(members: readonly { readonly channelId: number }[], jobId: number): void {
    for (const { channelId } of members) {
      this.#futures.set(channelId, [...(this.#futures.get(channelId) ?? []), jobId].slice(-2));
    }
  }

  #message(kind: Exclude<Step["do"], "read" | "future-for-each">, at: number): MiningMessage | undefined {
    const number = ++this.#count;
    const channelId = CHANNELS[at % CHANNELS.length]!;
    const groupId = GROUPS[at % GROUPS.length]!;
    const scope = [...CHANNELS, ...GROUPS][at % (CHANNELS.length + GROUPS.length)]!;
    const members = [...this.fast.channels.values()].filter((c) => c.channelId === scope || c.groupChannelId === scope);
    if (kind === "open") {
      const isNew = !this.#opened.has(channelId);
      this.#opened.add(channelId);
      return isNew ? say.open(channelId, groupId) : undefined;
    }
    if (members.length === 0) return undefined;
    const isOpen = this.fast.channel(channelId) !== undefined;
    switch (kind) {
      case "future":
        this.#remember(members, number);
        return say.job(scope, number, null);
      case "activate": {
        const jobId = this.#futures.get(members[0]!.channelId)?.at(-1 - (at % 2));
        const canStart = (channelId: number): boolean =>
          jobId !== undefined &&
          this.#futures.get(channelId)?.includes(jobId) === true &&
          this.fast.channel(channelId)?.job(jobId)?.state === "future";
        if (jobId === undefined || !members.every((c) => canStart(c.channelId))) return undefined;
        return say.prevHash(scope, jobId, number);
      }
      case "active":
        return members.every((c) => c.activeJob !== undefined) ? say.job(scope, number, number) : undefined;
      case "target":
        return say.target(scope, number);
      case "prefix":
        return isOpen ? say.prefix(channelId, number) : undefined;
      case "ack":
        return isOpen ? say.ack(channelId, number) : undefined;
      case "regroup":
        return isOpen ? say.regroup(groupId, [channelId]) : undefined;
      case "close":
        return isOpen ? say.close(channelId) : undefined;
      default:
        return kind satisfies never;
    }
  }
}

function finalState(client: MiningClient): unknown {
  return [...client.channels.values()]
    .toSorted((a, b) => a.channelId - b.channelId)
    .map(({ channelId, groupChannelId, target, extranoncePrefix, activeJob }) => ({
      channelId,
      groupChannelId,
      target,
      extranoncePrefix,
      job: activeJob && {
        jobId: activeJob.jobId,
        target: activeJob.target,
        prevHash: activeJob.prevHash,
        minNtime: activeJob.minNtime,
        prefix: activeJob.extranoncePrefix,
      },
    }));
}

test("a slow reader ends in the same state as one that reads everything, and is never told of an unknown job", () => {
  fc.assert(
    fc.property(fc.array(step, { minLength: 20, maxLength: 150, size: "max" }), (steps) => {
      const server = new Server();
      for (const next of steps) server.run(next);
      server.finish();
      expect(server.faults).toEqual([]);
      expect(finalState(server.slow)).toEqual(finalState(server.fast));
    }),
    { numRuns: 2_000 },
  );
});
