import { displayHash, hashFromDisplay } from "@adit/bitcoin";
import { expect, test } from "vitest";
import * as zeromq from "zeromq";
import type { NodeEvent } from "./node-watch.ts";
import { NodeWatch } from "./node-watch.ts";
import { NodeServer } from "./testing/node-server.ts";
import { displayed, rawChain, rawTemplate } from "./testing/raw-template.ts";
import { never, nodeAt, nodeErrorOf } from "./testing/setup.ts";
import { followHashblock } from "./zmq-hashblock.ts";

/** A publisher as in bitcoind, whose `subscribed` resolves when someone subscribes. */
async function publisher(): Promise<AsyncDisposable & Publisher> {
  // An XPublisher is a Publisher that sees subscriptions, so that nothing is sent before there is one.
  const socket = new zeromq.XPublisher();
  await socket.bind("tcp://127.0.0.1:*");
  return {
    address: socket.lastEndpoint ?? "",
    subscribed: async () => {
      await socket.receive();
    },
    publish: async (topic, body) => await socket.send([topic, body, Buffer.alloc(4)]),
    [Symbol.asyncDispose]: async () => socket.close(),
  };
}

interface Publisher {
  readonly address: string;
  readonly subscribed: () => Promise<void>;
  readonly publish: (topic: string, body: Uint8Array) => Promise<void>;
}

/** A hash as Core publishes it: in display order. */
function published(seed: number): Uint8Array {
  return hashFromDisplay(displayed(seed)).toReversed();
}

test("tells the hash of every block, and passes over what is none", async () => {
  await using node = await publisher();
  const stop = new AbortController();
  const hashes: string[] = [];
  const following = followHashblock({
    node: "127.0.0.1:18443",
    address: node.address,
    signal: stop.signal,
    onHash: (hash) => {
      hashes.push(displayHash(hash));
      if (hashes.length === 2) stop.abort();
    },
  });
  await node.subscribed();
  await node.publish("hashblock", published(5));
  await node.publish("hashblock", new Uint8Array(31));
  await node.publish("hashblocks", published(9));
  await node.publish("hashblock", published(6));
  await following;
  expect(hashes).toEqual([displayed(5), displayed(6)]);
});

test("a missing package is one error that names it", async () => {
  const missing: string = "zeromq-that-is-not-installed";
  const load = (): Promise<never> => import(missing) as Promise<never>;
  const options = { node: "127.0.0.1:18443", address: "tcp://127.0.0.1:28332", signal: never, onHash: () => {}, load };
  const error = await nodeErrorOf(followHashblock(options));
  expect(error.code).toBe("zmq-unavailable");
  expect(error.message).toMatch(/^127\.0\.0\.1:18443 ZMQ tcp:\/\/127\.0\.0\.1:28332: .*npm install zeromq/);
});

test("a bad address is an error that says how to write one", async () => {
  const options = { node: "127.0.0.1:18443", address: "127.0.0.1:28332", signal: never, onHash: () => {} };
  const error = await nodeErrorOf(followHashblock(options));
  expect(error.code).toBe("zmq-unavailable");
  expect(error.message).toContain("like tcp://127.0.0.1:28332");
});

test("a signal that has aborted opens nothing", async () => {
  const options = { node: "127.0.0.1:18443", address: "tcp://127.0.0.1:1", onHash: () => {} };
  await expect(followHashblock({ ...options, signal: AbortSignal.abort() })).resolves.toBeUndefined();
});

test("a watch sees a tip by ZMQ long before its next poll, and goes on without ZMQ", async () => {
  await using server = await NodeServer.start();
  await using zmq = await publisher();
  let tip = 1;
  server.on("getblockchaininfo", () => ({ result: rawChain({ bestblockhash: displayed(tip) }) }));
  server.on("getblocktemplate", () => ({
    result: rawTemplate({ previousblockhash: displayed(tip), longpollid: undefined }),
  }));
  await using node = nodeAt(server.url);
  const seen: string[] = [];
  let wake = (): void => {};
  const onEvent = (event: NodeEvent): void => {
    seen.push(event.type === "tip-seen" ? `tip by ${event.by}` : event.type);
    wake();
  };
  const options = { node, pollIntervalMs: 600_000, templateIntervalMs: 600_000, onEvent, signal: never };
  await using watch = new NodeWatch({ ...options, zmqHashblock: zmq.address });
  watch.wantTemplates(true);
  const until = async (count: number): Promise<void> => {
    while (seen.length < count) await new Promise<void>((resolve) => (wake = resolve));
  };
  await zmq.subscribed();
  await until(3);
  tip = 2;
  await zmq.publish("hashblock", published(2));
  await until(6);
  expect(seen.slice(0, 4)).toEqual(["chain", "tip by poll", "template", "tip by zmq"]);
  expect(seen.slice(4).toSorted()).toEqual(["chain", "template"]);
});
