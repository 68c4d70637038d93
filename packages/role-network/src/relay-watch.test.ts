import { mkdtemp, readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { IrohNodeManager } from "@adit/network-helpers/iroh";
import { testRelay } from "@adit/network-helpers/testing/relay";
import { openLog } from "@adit/role-kit";
import { expect, test, vi } from "vitest";
import { tellRelays } from "./relay-watch.ts";

/** A node whose relay asks for the token "pass", and what is told of it in the log. */
async function watched(authToken: string, patienceMs: number) {
  const relay = await testRelay({ token: "pass" });
  const node = await IrohNodeManager.start({
    relay: [{ url: relay.url, authToken }],
    bind: ["127.0.0.1:0"],
    allowedPeers: [],
    maxConnectionsPerPeer: 8,
    signal: new AbortController().signal,
  });
  const file = join(await mkdtemp(join(tmpdir(), "adit-relay-")), "log");
  const telling = tellRelays(node, openLog({ role: "test", level: "info", file }), patienceMs);
  return {
    relay,
    telling,
    log: () => readFile(file, "utf8"),
    end: () => node[Symbol.asyncDispose](),
    [Symbol.asyncDispose]: async () => {
      await node[Symbol.asyncDispose]();
      await relay[Symbol.asyncDispose]();
    },
  };
}

test("a node says which relay it has reached", async () => {
  await using node = await watched("pass", 60_000);
  await node.telling;
  expect(await node.log()).toMatch(new RegExp(`"level":30.*"relays":\\["${node.relay.url}"\\].*"iroh relay reached"`));
  expect(await node.log()).not.toContain("not reached");
});

test("a node that its relay turns away says so, and nothing more when it ends", async () => {
  await using node = await watched("another", 200);
  await vi.waitFor(async () => expect(await node.log()).toMatch(/"level":40.*"iroh relay not reached"/), 10_000);
  await node.end();
  await node.telling;
  expect((await node.log()).match(/"msg":"[^"]*"/g)).toEqual(['"msg":"iroh relay not reached"']);
});
