import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { endRotation, LanDiscovery, parseTicket, rotateKey } from "@adit/network-helpers/iroh";
import { irohSettings, metricsRegister, type RoleContext } from "@adit/role-kit";
import { describe, expect, test, vi } from "vitest";
import { z } from "zod";
import { openNetwork } from "./network.ts";
import { listenLimits } from "./settings.ts";
import { miningHello as hello, miningServer as server } from "./testing/mining-server.ts";
import { type TestContext, testContext } from "./testing/role-context.ts";

const limits = z.strictObject(listenLimits).parse({});
const loopback = { bind: ["127.0.0.1:0", "[::1]:0"], lanInterfaces: ["127.0.0.1"] };

/** Whether mDNS works on this machine's loopback interface. A container may have it switched off. */
const hasMulticast = await (async () => {
  const id = "ae58ff8833241ac82d6ff7611046ed67b5072d142c588d0063e942d9a75502b6";
  const options = { interfaces: ["127.0.0.1"], onEvent: () => {} };
  await using one = await LanDiscovery.open(options);
  await using two = await LanDiscovery.open(options);
  one.announce(id, () => ({ endpointId: id, alpns: [], addresses: ["10.0.0.1:1"] }));
  return (await two.find(id, { signal: new AbortController().signal })).addresses.length > 0;
})();
if (!hasMulticast)
  process.stderr.write(
    "SKIPPED: this machine has no multicast on loopback; LAN discovery is not tested over sockets\n",
  );

describe("a role's Iroh identity", () => {
  test.skipIf(!hasMulticast)(
    "is dialled by its endpoint id alone where LAN discovery is on, and the log says how it was found",
    async () => {
      const [host, client] = [await testContext(), await testContext()];
      const iroh = ({ dir }: TestContext) =>
        irohSettings.parse({ ...loopback, secretKeyPath: join(dir, "iroh.key"), lanDiscovery: true });
      await using hosting = await openNetwork({ iroh: iroh(host), needsIroh: "required" }, host.context);
      await using dialling = await openNetwork({ iroh: iroh(client), needsIroh: "required" }, client.context);
      await using _served = await hosting.serve({
        settings: { transport: "iroh", encryption: "plain", certValiditySec: 3600, iroh: iroh(host) },
        limits,
        server,
        signal: host.context.signal,
        handler: async (connection) => {
          for await (const _ of connection.messages);
        },
      });
      const upstream = { transport: "iroh", prefer: "iroh", encryption: "plain", directAddresses: [] } as const;
      const endpointId = hosting.endpointId ?? "";
      await using connection = await dialling.dial({ ...upstream, endpointId }, hello, client.context);
      expect(connection.info()).toMatchObject({ transport: "iroh", endpointId });
      expect(await client.log()).toMatch(
        /"tried":"lan found 127\.0\.0\.1:\d+ \(\w[\w ]*\); n0-dns not-used.*iroh peer found/,
      );
      expect((await client.context.metrics.expose()).body).toMatch(/sv2_lan_packets_total\{outcome="read"\} [1-9]/);
    },
  );
});

describe("a rotated key", () => {
  const plain = { transport: "iroh", prefer: "iroh", encryption: "plain", directAddresses: [] } as const;

  /** A role that serves over Iroh, whose clock and reloads the test has in hand. */
  async function rotating() {
    const at = await testContext();
    const path = join(at.dir, "iroh.key");
    const clock = { now: Date.UTC(2026, 10, 28) };
    let refresh = async (): Promise<boolean> => false;
    const iroh = irohSettings.parse({ ...loopback, secretKeyPath: path });
    const context: RoleContext<never> = {
      ...at.context,
      now: () => clock.now,
      onFileReload: (_key, act) => {
        refresh = act;
      },
    };
    const start = async () => {
      const metrics = metricsRegister();
      const network = await openNetwork({ iroh, needsIroh: "required" }, { ...context, metrics });
      const served = await network.serve({
        settings: { transport: "iroh", encryption: "plain", certValiditySec: 3600, iroh },
        limits,
        server,
        signal: context.signal,
        handler: async (connection) => {
          for await (const _ of connection.messages);
        },
      });
      const tickets = () => served.listeners().map(({ ticket }) => ticket ?? "");
      const stop = async (): Promise<void> => {
        await served[Symbol.asyncDispose]();
        await network[Symbol.asyncDispose]();
      };
      return { network, tickets, metrics, [Symbol.asyncDispose]: stop };
    };
    const rotate = () => rotateKey(path, { overlapMs: 1000, now: clock.now });
    return { ...at, path, clock, context, start, rotate, reload: () => refresh() };
  }

  async function client() {
    const at = await testContext();
    const iroh = irohSettings.parse({ ...loopback, secretKeyPath: join(at.dir, "iroh.key"), dialTimeoutSecs: 2 });
    const network = await openNetwork({ iroh, needsIroh: "required" }, at.context);
    const dial = (ticket: string) => network.dial({ ...plain, ticket }, hello, at.context);
    return { network, dial, [Symbol.asyncDispose]: () => network[Symbol.asyncDispose]() };
  }

  test("is answered beside the former one from the next start on, at the former's port, and the log names who must be moved", async () => {
    const role = await rotating();
    {
      await using _first = await role.start();
    }
    const { endpointId, former } = await role.rotate();
    await using server = await role.start();
    await using miner = await client();
    expect(server.network.endpointId).toBe(endpointId);
    expect(server.network.status().listeners).toMatchObject([
      { endpoint_id: endpointId, identity: "current" },
      { endpoint_id: former.endpointId, identity: "former" },
    ]);
    const [currentTicket = "", formerTicket = ""] = server.tickets();
    expect([currentTicket, formerTicket].map((ticket) => parseTicket(ticket).endpointId)).toEqual([
      endpointId,
      former.endpointId,
    ]);
    await using byNew = await miner.dial(currentTicket);
    await using byOld = await miner.dial(formerTicket);
    expect([byNew.info().endpointId, byOld.info().endpointId]).toEqual([endpointId, former.endpointId]);
    const { body } = await server.metrics.expose();
    for (const identity of ["current", "former"]) {
      expect(body).toContain(`sv2_iroh_connections{identity="${identity}"} 1`);
      expect(body).toContain(`sv2_iroh_connections_total{identity="${identity}"} 1`);
    }
    const log = await role.log();
    expect(log.match(/peer dials the former endpoint id/g)).toHaveLength(1);
    expect(log).toContain(`"peer":"${miner.network.endpointId}","former":"${former.endpointId}"`);
    const keys = await Promise.all([role.path, `${role.path}.former`].map((file) => readFile(file, "utf8")));
    for (const key of keys) expect(log).not.toContain(key.slice(0, 64));
  });

  test("is taken over by a running role at a reload: connections stay, both are answered, dials go out under the new one", async () => {
    const role = await rotating();
    await using server = await role.start();
    await using miner = await client();
    await using far = await rotating().then((other) => other.start());
    const [oldTicket = ""] = server.tickets();
    await using before = await miner.dial(oldTicket);
    expect(await role.reload()).toBe(false);
    expect(server.network.status().listeners).toMatchObject([{ identity: "current" }]);
    const { endpointId, former } = await role.rotate();
    expect(await role.reload()).toBe(true);
    expect(await role.reload()).toBe(false);
    expect(server.network.endpointId).toBe(endpointId);
    const ids = server.tickets().map((ticket) => parseTicket(ticket).endpointId);
    expect(new Set(ids)).toEqual(new Set([former.endpointId, endpointId]));
    expect(server.network.status().listeners).toMatchObject([
      { endpoint_id: former.endpointId, identity: "former" },
      { endpoint_id: endpointId, identity: "current" },
    ]);
    await using byOld = await miner.dial(oldTicket);
    await using byNew = await miner.dial(server.tickets()[ids.indexOf(endpointId)] ?? "");
    expect([byOld.info().endpointId, byNew.info().endpointId]).toEqual([former.endpointId, endpointId]);
    expect(before.info().endpointId).toBe(former.endpointId);
    await using _out = await server.network.dial({ ...plain, ticket: far.tickets()[0] ?? "" }, hello, role.context);
    expect(far.network.status().connections).toMatchObject([{ endpoint_id: endpointId }]);
  });

  test("answers alone once its overlap is ended, live or by time, and former connections are closed", async () => {
    const role = await rotating();
    await using server = await role.start();
    await using miner = await client();
    const { endpointId } = await role.rotate();
    const [oldTicket = ""] = server.tickets();
    await role.reload();
    await using byOld = await miner.dial(oldTicket);
    await endRotation(role.path);
    expect(await role.reload()).toBe(true);
    expect(server.tickets().map((ticket) => parseTicket(ticket).endpointId)).toEqual([endpointId]);
    const read = async (): Promise<void> => {
      for await (const _ of byOld.messages);
    };
    await read().catch(() => undefined);
    await expect(miner.dial(oldTicket)).rejects.toMatchObject({ name: "NetworkError" });
    const again = await role.rotate();
    role.clock.now += 1000;
    await server[Symbol.asyncDispose]();
    await using restarted = await role.start();
    expect(restarted.tickets().map((ticket) => parseTicket(ticket).endpointId)).toEqual([again.endpointId]);
    expect(await readdir(role.dir)).not.toContain("iroh.key.former");
  });

  test("is alone a minute after the end of the overlap, without anybody asking", async () => {
    const role = await rotating();
    {
      await using _first = await role.start();
    }
    const { endpointId } = await role.rotate();
    vi.useFakeTimers({ toFake: ["setInterval"] });
    try {
      await using server = await role.start();
      expect(server.tickets()).toHaveLength(2);
      vi.advanceTimersByTime(60_000);
      expect(server.tickets()).toHaveLength(2);
      role.clock.now += 1000;
      vi.advanceTimersByTime(60_000);
      await vi.waitFor(async () => expect(await readdir(role.dir)).not.toContain("iroh.key.former"));
      expect(server.tickets().map((ticket) => parseTicket(ticket).endpointId)).toEqual([endpointId]);
    } finally {
      vi.useRealTimers();
    }
  });

  test("that was put there by hand, without an overlap, is told to need a restart", async () => {
    const role = await rotating();
    await using server = await role.start();
    const { endpointId } = server.network;
    await writeFile(role.path, "33".repeat(32));
    await expect(role.reload()).rejects.toThrow("restart for it");
    expect(server.network.endpointId).toBe(endpointId);
  });
});
