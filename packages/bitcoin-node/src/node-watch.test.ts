import { displayHash } from "@adit/bitcoin";
import { describe, expect, test } from "vitest";
import type { BitcoinNode } from "./bitcoin-node.ts";
import { type NodeEvent, NodeWatch, type NodeWatchOptions } from "./node-watch.ts";
import { NodeServer, type ServerReply } from "./testing/node-server.ts";
import { displayed, rawChain, rawTemplate } from "./testing/raw-template.ts";
import { never, nodeAt } from "./testing/setup.ts";
import { VirtualClock } from "./testing/virtual-clock.ts";

const POLL_MS = 1_000;
const TEMPLATE_MS = 30_000;

/** A node whose tip a test moves, and whose long polls it answers. */
class Scene implements AsyncDisposable {
  readonly server: NodeServer;
  readonly node: BitcoinNode;
  readonly clock = new VirtualClock();
  readonly events: string[] = [];
  /** Answers the long poll that waits. */
  endLongPoll: (reply: ServerReply) => void = () => {};
  #tip = 1;
  #curTime = 1_700_000_600;
  #readers: (() => void)[] = [];

  private constructor(server: NodeServer, longPollMs: number) {
    this.server = server;
    this.node = nodeAt(server.url, { longPollMs });
    server.on("getblockchaininfo", () => ({ result: rawChain({ bestblockhash: displayed(this.#tip) }) }));
    server.on("getblocktemplate", ({ params }) => this.#template(params[0]));
  }

  static async open(longPollMs = 300_000): Promise<Scene> {
    return new Scene(await NodeServer.start(), longPollMs);
  }

  watch(options: Partial<NodeWatchOptions> = {}): NodeWatch {
    return new NodeWatch({
      node: this.node,
      pollIntervalMs: POLL_MS,
      templateIntervalMs: TEMPLATE_MS,
      onEvent: (event) => this.#record(event),
      signal: never,
      clock: this.clock,
      ...options,
    });
  }

  /** A template on the tip that is now; later ones have later times. */
  template(fields: Readonly<Record<string, unknown>> = {}): ServerReply {
    this.#curTime += 1;
    const tip = displayed(this.#tip);
    return { result: rawTemplate({ previousblockhash: tip, longpollid: tip, curtime: this.#curTime, ...fields }) };
  }

  moveTip(tip: number): void {
    this.#tip = tip;
  }

  /** Resolves when the events so far are exactly these, all taken out. */
  async happens(...events: readonly string[]): Promise<void> {
    while (this.events.length < events.length) await new Promise<void>((resolve) => this.#readers.push(resolve));
    expect(this.events.splice(0)).toEqual(events);
  }

  /** Like {@link happens}, for loops that were due at the same time. */
  async happenTogether(...events: readonly string[]): Promise<void> {
    while (this.events.length < events.length) await new Promise<void>((resolve) => this.#readers.push(resolve));
    expect(this.events.splice(0).toSorted()).toEqual(events.toSorted());
  }

  /** Calls of `getblocktemplate` that came so far. */
  templateCalls(kind: "request" | "long-poll"): number {
    const calls = this.server.calls.filter(({ method }) => method === "getblocktemplate");
    return calls.filter(({ params }) => isLongPoll(params[0]) === (kind === "long-poll")).length;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.node[Symbol.asyncDispose]();
    await this.server[Symbol.asyncDispose]();
  }

  #template(request: unknown): ServerReply | Promise<ServerReply> {
    if (!isLongPoll(request)) return this.template();
    return new Promise((resolve) => (this.endLongPoll = resolve));
  }

  #record(event: NodeEvent): void {
    this.events.push(nameOf(event));
    for (const reader of this.#readers.splice(0)) reader();
  }
}

function isLongPoll(request: unknown): boolean {
  return typeof request === "object" && request !== null && "longpollid" in request;
}

function nameOf(event: NodeEvent): string {
  switch (event.type) {
    case "chain":
      return `chain ${short(event.info.tip)}`;
    case "tip-seen":
      return `tip ${short(event.hash)} by ${event.by}`;
    case "template":
      return `template on ${short(event.template.prevHash)} by ${event.by}`;
    case "failed":
      return `failed ${event.error.method} ${event.error.code}`;
    default:
      return event satisfies never;
  }
}

function short(hash: Uint8Array): string {
  return displayHash(hash).replace(/^0+/, "");
}

/** A watch that has its first template and a long poll waiting. */
async function following(scene: Scene): Promise<NodeWatch> {
  const watch = scene.watch();
  watch.wantTemplates(true);
  await scene.happens("chain 1", "tip 1 by poll", "template on 1 by request");
  await scene.server.called("getblocktemplate", 2);
  await scene.clock.sleeping(POLL_MS, TEMPLATE_MS);
  return watch;
}

describe("the poll", () => {
  test("tells the chain at every interval, and a tip once", async () => {
    await using scene = await Scene.open();
    await using _watch = scene.watch();
    await scene.happens("chain 1", "tip 1 by poll");
    await scene.clock.sleeping(POLL_MS);
    scene.clock.advance(POLL_MS);
    await scene.happens("chain 1");
    await scene.clock.sleeping(POLL_MS);
    scene.moveTip(2);
    scene.clock.advance(POLL_MS);
    await scene.happens("chain 2", "tip 2 by poll");
    expect(scene.templateCalls("request")).toBe(0);
  });

  test("backs off to five seconds while it fails, and comes back to its interval", async () => {
    await using scene = await Scene.open();
    scene.server.on("getblockchaininfo", () => ({ error: { code: -28, message: "Loading" } }));
    await using _watch = scene.watch();
    for (const waitMs of [1_000, 2_000, 4_000, 5_000, 5_000]) {
      await scene.happens("failed getblockchaininfo warming-up");
      await scene.clock.sleeping(waitMs);
      scene.clock.advance(waitMs);
    }
    await scene.happens("failed getblockchaininfo warming-up");
    await scene.clock.sleeping(5_000);
    scene.server.on("getblockchaininfo", () => ({ result: rawChain() }));
    scene.clock.advance(5_000);
    await scene.happens("chain 1", "tip 1 by poll");
    await scene.clock.sleeping(POLL_MS);
  });

  test("is done at once when it is asked for", async () => {
    await using scene = await Scene.open();
    await using watch = scene.watch();
    await scene.happens("chain 1", "tip 1 by poll");
    await scene.clock.sleeping(POLL_MS);
    watch.refresh();
    await scene.happens("chain 1");
  });
});

describe("templates", () => {
  test("come at once when they are wanted, with a long poll waiting after the first", async () => {
    await using scene = await Scene.open();
    await using _watch = await following(scene);
    expect([scene.templateCalls("request"), scene.templateCalls("long-poll")]).toEqual([1, 1]);
    expect(scene.server.calls.at(-1)?.params).toMatchObject([{ longpollid: displayed(1) }]);
  });

  test("are not asked for on the wrong network", async () => {
    await using scene = await Scene.open();
    scene.server.on("getblockchaininfo", () => ({ result: rawChain({ chain: "main" }) }));
    await using watch = scene.watch();
    watch.wantTemplates(true);
    await scene.happens("failed getblockchaininfo wrong-network");
    await scene.clock.sleeping(POLL_MS);
    expect(scene.templateCalls("request")).toBe(0);
  });

  test("stop when the node turns out to have changed its network", async () => {
    await using scene = await Scene.open();
    await using _watch = await following(scene);
    scene.server.on("getblockchaininfo", () => ({ result: rawChain({ chain: "main" }) }));
    scene.clock.advance(POLL_MS);
    await scene.happens("failed getblockchaininfo wrong-network");
    await scene.clock.sleeping(POLL_MS);
  });

  test("come from the long poll when the node has a new tip, and the next long poll follows at once", async () => {
    await using scene = await Scene.open();
    await using _watch = await following(scene);
    scene.moveTip(2);
    scene.endLongPoll(scene.template());
    await scene.happens("template on 2 by long-poll");
    await scene.server.called("getblocktemplate", 3);
    expect(scene.server.calls.at(-1)?.params).toMatchObject([{ longpollid: displayed(2) }]);
    scene.clock.advance(POLL_MS);
    // The tip is no news to the poll.
    await scene.happens("chain 2");
    await scene.clock.sleeping(POLL_MS, TEMPLATE_MS - POLL_MS);
    expect(scene.templateCalls("request")).toBe(1);
  });

  test("are asked for when a poll sees a new tip, beside the long poll", async () => {
    await using scene = await Scene.open();
    await using _watch = await following(scene);
    scene.moveTip(2);
    scene.clock.advance(POLL_MS);
    await scene.happens("chain 2", "tip 2 by poll", "template on 2 by request");
    expect(scene.templateCalls("long-poll")).toBe(1);
  });

  test("are replaced on the same tip when they are old", async () => {
    await using scene = await Scene.open();
    await using _watch = await following(scene);
    scene.clock.advance(POLL_MS);
    await scene.happens("chain 1");
    await scene.clock.sleeping(POLL_MS, TEMPLATE_MS - POLL_MS);
    scene.clock.advance(TEMPLATE_MS - POLL_MS);
    await scene.happenTogether("template on 1 by request", "chain 1");
    await scene.clock.sleeping(POLL_MS, TEMPLATE_MS);
    expect([scene.templateCalls("request"), scene.templateCalls("long-poll")]).toEqual([2, 1]);
  });

  test("are not replaced for their age when a long poll brought one meanwhile", async () => {
    await using scene = await Scene.open();
    await using _watch = await following(scene);
    scene.clock.advance(TEMPLATE_MS - 1);
    await scene.happens("chain 1");
    scene.endLongPoll(scene.template());
    await scene.happens("template on 1 by long-poll");
    await scene.server.called("getblocktemplate", 3);
    scene.clock.advance(1);
    await scene.clock.sleeping(POLL_MS - 1, TEMPLATE_MS - 1);
    expect(scene.templateCalls("request")).toBe(1);
  });

  test("of a node without long polling come by age alone", async () => {
    await using scene = await Scene.open();
    scene.server.on("getblocktemplate", () => scene.template({ longpollid: undefined }));
    await using watch = scene.watch();
    watch.wantTemplates(true);
    await scene.happens("chain 1", "tip 1 by poll", "template on 1 by request");
    await scene.clock.sleeping(POLL_MS, TEMPLATE_MS, TEMPLATE_MS);
    scene.clock.advance(TEMPLATE_MS);
    await scene.happenTogether("chain 1", "template on 1 by request");
    expect(scene.templateCalls("long-poll")).toBe(0);
  });

  test("are no longer asked for when they are not wanted, and again when they are", async () => {
    await using scene = await Scene.open();
    await using watch = await following(scene);
    watch.wantTemplates(false);
    await scene.clock.sleeping(POLL_MS);
    watch.wantTemplates(true);
    await scene.happens("template on 1 by request");
    await scene.server.called("getblocktemplate", 4);
    expect(scene.templateCalls("long-poll")).toBe(2);
  });

  test("that fail are tried again with growing waits", async () => {
    await using scene = await Scene.open();
    scene.server.on("getblocktemplate", () => ({ error: { code: -10, message: "is downloading blocks" } }));
    await using watch = scene.watch();
    watch.wantTemplates(true);
    await scene.happens("chain 1", "tip 1 by poll", "failed getblocktemplate initial-block-download");
    // The poll's interval, the wait for the first template, and the long poll's for any.
    await scene.clock.sleeping(1_000, 1_000, TEMPLATE_MS);
    scene.clock.advance(1_000);
    await scene.happenTogether("failed getblocktemplate initial-block-download", "chain 1");
    await scene.clock.sleeping(1_000, 2_000, TEMPLATE_MS - 1_000);
  });
});

describe("a long poll", () => {
  test("that answers at once again and again is slowed down, until there is a new tip", async () => {
    await using scene = await Scene.open();
    await using watch = scene.watch({ pollIntervalMs: 600_000 });
    watch.wantTemplates(true);
    await scene.happens("chain 1", "tip 1 by poll", "template on 1 by request");
    let calls = 2;
    let passedMs = 0;
    for (const waitMs of [1_000, 2_000, 4_000, 8_000]) {
      await scene.server.called("getblocktemplate", calls);
      scene.endLongPoll(scene.template());
      await scene.happens("template on 1 by long-poll");
      await scene.clock.sleeping(waitMs, TEMPLATE_MS - passedMs, 600_000 - passedMs);
      scene.clock.advance(waitMs);
      passedMs += waitMs;
      calls += 1;
    }
    await scene.server.called("getblocktemplate", calls);
    scene.moveTip(2);
    scene.endLongPoll(scene.template());
    await scene.happens("template on 2 by long-poll");
    await scene.server.called("getblocktemplate", calls + 1);
  });

  test("that fails is told once, and starts again after the next template", async () => {
    await using scene = await Scene.open();
    await using _watch = await following(scene);
    scene.endLongPoll({ error: { code: -8, message: "Invalid longpoll ID." } });
    await scene.happens("failed getblocktemplate rpc-error", "template on 1 by request");
    await scene.clock.sleeping(POLL_MS, POLL_MS, TEMPLATE_MS);
    scene.clock.advance(POLL_MS);
    await scene.happens("chain 1");
    await scene.server.called("getblocktemplate", 4);
    expect([scene.templateCalls("request"), scene.templateCalls("long-poll")]).toEqual([2, 2]);
  });

  test("that was overtaken by a request brings no older template", async () => {
    await using scene = await Scene.open();
    await using _watch = await following(scene);
    const old = scene.template();
    scene.moveTip(2);
    scene.clock.advance(POLL_MS);
    await scene.happens("chain 2", "tip 2 by poll", "template on 2 by request");
    scene.endLongPoll(old);
    await scene.server.called("getblocktemplate", 4);
    expect(scene.events).toEqual([]);
  });

  test("that was overtaken by a request on the same tip brings no older template", async () => {
    await using scene = await Scene.open();
    await using watch = await following(scene);
    const old = scene.template();
    watch.refresh();
    await scene.happenTogether("chain 1", "template on 1 by request");
    scene.endLongPoll(old);
    await scene.clock.sleeping(1_000, POLL_MS, TEMPLATE_MS);
    expect(scene.events).toEqual([]);
  });

  test("that nobody answers is no failure, and another follows", async () => {
    await using scene = await Scene.open(30);
    await using _watch = await following(scene);
    await scene.server.called("getblocktemplate", 4);
    expect([scene.templateCalls("request"), scene.templateCalls("long-poll")]).toEqual([1, 3]);
    expect(scene.events).toEqual([]);
  });

  test("that overtakes a request has that request made again", async () => {
    await using scene = await Scene.open();
    await using watch = await following(scene);
    const old = scene.template();
    let answer = (_reply: ServerReply): void => {};
    const endLongPoll = scene.endLongPoll;
    scene.server.on("getblocktemplate", () => new Promise<ServerReply>((resolve) => (answer = resolve)));
    watch.refresh();
    await scene.server.called("getblocktemplate", 3);
    const answerRequest = answer;
    await scene.happens("chain 1");
    scene.moveTip(2);
    endLongPoll(scene.template());
    await scene.happens("template on 2 by long-poll");
    await scene.server.called("getblocktemplate", 4);
    scene.server.on("getblocktemplate", () => scene.template());
    answerRequest(old);
    await scene.happens("template on 2 by request");
  });

  test("that waited brings a tip that no request has seen, although a request came after it", async () => {
    await using scene = await Scene.open();
    await using _watch = await following(scene);
    scene.clock.advance(TEMPLATE_MS);
    await scene.happenTogether("chain 1", "template on 1 by request");
    scene.moveTip(2);
    scene.endLongPoll(scene.template());
    await scene.happens("template on 2 by long-poll");
  });
});

test("a chain that goes back to an earlier tip is followed", async () => {
  await using scene = await Scene.open();
  await using _watch = await following(scene);
  for (const tip of [2, 1]) {
    scene.moveTip(tip);
    scene.clock.advance(POLL_MS);
    await scene.happens(`chain ${tip}`, `tip ${tip} by poll`, `template on ${tip} by request`);
    await scene.clock.sleeping(POLL_MS, TEMPLATE_MS);
  }
});

describe("a watch that ends", () => {
  test("by disposal tells nothing more and leaves no timer", async () => {
    await using scene = await Scene.open();
    const watch = await following(scene);
    await watch[Symbol.asyncDispose]();
    expect(scene.clock.pending).toEqual([]);
    watch.wantTemplates(true);
    watch.refresh();
    expect(scene.events).toEqual([]);
  });

  test("by its signal tells nothing more and leaves no timer", async () => {
    await using scene = await Scene.open();
    const stop = new AbortController();
    await using watch = scene.watch({ signal: stop.signal });
    watch.wantTemplates(true);
    await scene.happens("chain 1", "tip 1 by poll", "template on 1 by request");
    await scene.clock.sleeping(POLL_MS, TEMPLATE_MS);
    stop.abort();
    await watch[Symbol.asyncDispose]();
    expect(scene.clock.pending).toEqual([]);
    expect(scene.events).toEqual([]);
  });

  test("before it began asks nothing", async () => {
    await using scene = await Scene.open();
    await using watch = scene.watch({ signal: AbortSignal.abort() });
    watch.wantTemplates(true);
    await watch[Symbol.asyncDispose]();
    expect(scene.server.calls).toEqual([]);
  });
});
