import { createSocket } from "node:dgram";
import { once } from "node:events";
import { join } from "node:path";
import type { IrohNodeManager } from "@adit/network-helpers/iroh";
import { irohSettings } from "@adit/role-kit";
import { describe, expect, test, vi } from "vitest";
import { z } from "zod";
import { IrohIdentity } from "./iroh-identity.ts";
import { startNode } from "./iroh-node.ts";
import { irohNeed, openNetwork } from "./network.ts";
import { listenLimits } from "./settings.ts";
import { miningHello as hello, miningServer as server } from "./testing/mining-server.ts";
import { testContext } from "./testing/role-context.ts";

const WAIT = { timeout: 15_000, interval: 50 };

/** A UDP socket that has a port of 127.0.0.1 to itself. */
async function occupied() {
  const socket = createSocket("udp4");
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  return {
    port: socket.address().port,
    release: async () => {
      socket.close();
      await once(socket, "close");
    },
  };
}

describe("a node whose port is taken", () => {
  test("keeps no listener beside it from serving, and listens as soon as the port is free", async () => {
    const { dir, context } = await testContext();
    const taken = await occupied();
    const iroh = irohSettings.parse({ secretKeyPath: join(dir, "key"), bind: [`127.0.0.1:${taken.port}`] });
    await using network = await openNetwork({ iroh, needsIroh: "wanted" }, context);
    await using served = await network.serve({
      settings: {
        transport: "dual",
        listenAddress: "127.0.0.1:0",
        encryption: "plain",
        certValiditySec: 3600,
        iroh,
      },
      limits: z.strictObject(listenLimits).parse({}),
      server,
      signal: context.signal,
      handler: async (connection) => {
        for await (const _ of connection.messages);
      },
    });
    const [tcp, quic] = served.listeners();
    expect([tcp?.state, quic?.state]).toEqual(["listening", "failed"]);
    expect(quic?.error).toMatch(/in use/);
    const port = Number(tcp?.address?.split(":").at(-1));
    const upstream = { transport: "tcp", prefer: "tcp", encryption: "plain", directAddresses: [] } as const;
    await using _ = await network.dial({ ...upstream, address: "127.0.0.1", port }, hello, context);
    expect(network.endpointId).toMatch(/^[0-9a-f]{64}$/);
    await taken.release();
    await vi.waitFor(
      () => expect(served.listeners().map(({ state }) => state)).toEqual(["listening", "listening"]),
      WAIT,
    );
    expect((await context.metrics.expose()).body).toMatch(/sv2_iroh_node_starts_total\{result="failed"\} [1-9]/);
  });

  test("is the end of a role that has no other way", async () => {
    const { dir, context } = await testContext();
    const taken = await occupied();
    const iroh = irohSettings.parse({ secretKeyPath: join(dir, "key"), bind: [`127.0.0.1:${taken.port}`] });
    await expect(openNetwork({ iroh, needsIroh: "required" }, context)).rejects.toMatchObject({
      code: "node-initialisation",
    });
    await taken.release();
  });
});

test("a node that stops by itself is started again under the same endpoint id, and its listeners with it", async () => {
  const { dir, context } = await testContext();
  const iroh = irohSettings.parse({ secretKeyPath: join(dir, "key"), bind: ["127.0.0.1:0", "[::1]:0"] });
  const nodes: IrohNodeManager[] = [];
  await using identity = await IrohIdentity.start(iroh, context, {
    required: true,
    startNode: async (options) => {
      const node = await startNode(options);
      nodes.push(node);
      return node;
    },
  });
  const { endpointId } = identity;
  const transport = identity.current.transport("test/1");
  const listener = await transport.listen("", context);
  const [first] = nodes;
  await first?.[Symbol.asyncDispose]();
  for await (const _ of listener.streams) expect.unreachable("a stream of a node that has stopped");
  await expect(transport.listen("", context)).rejects.toMatchObject({ code: "node-initialisation" });
  await vi.waitFor(() => expect(nodes).toHaveLength(2), WAIT);
  await vi.waitFor(async () => {
    await using again = await transport.listen("", context);
    expect(again.endpointId).toBe(endpointId);
  }, WAIT);
});

test("a role needs Iroh as much as its transports leave it no other way", () => {
  expect(irohNeed(["tcp", "tcp"])).toBe("no");
  expect(irohNeed(["tcp", "dual"])).toBe("wanted");
  expect(irohNeed(["dual", "iroh"])).toBe("required");
  expect(irohNeed(["tcp"], ["iroh"])).toBe("wanted");
});
