import { randomInt } from "node:crypto";
import { createSocket } from "node:dgram";
import { describe, expect, test } from "vitest";
import type { NetworkError } from "../../errors.ts";
import { DiscoveryFailure } from "../discovery.ts";
import { loopbackNode } from "../testing/loopback.ts";
import { echoAll, ping } from "../testing/streams.ts";
import { LanDiscovery, type LanEvent } from "./lan-discovery.ts";
import { queryPacket, readPacket, responsePacket } from "./packet.ts";
import { recordsOf, SERVICE } from "./records.ts";

const never = new AbortController().signal;

/** A port of this file's own, so that the host's mDNS and other tests are left alone. */
const port = randomInt(20_000, 30_000);

async function open(events: LanEvent[] = [], interfaces = ["127.0.0.1"]): Promise<LanDiscovery> {
  return await LanDiscovery.open({ interfaces, port, onEvent: (event) => void events.push(event) });
}

/** Whether multicast on loopback reaches a second socket here. A container may have it switched off. */
const hasMulticast = await (async () => {
  const id = "ae58ff8833241ac82d6ff7611046ed67b5072d142c588d0063e942d9a75502b6";
  await using one = await open();
  await using two = await open();
  one.announce(id, () => ({ endpointId: id, alpns: [], addresses: ["10.0.0.1:1"] }));
  return (await two.find(id, { signal: never })).addresses.length > 0;
})();
if (!hasMulticast)
  process.stderr.write(
    "SKIPPED: this machine has no multicast on loopback; LAN discovery is not tested over sockets\n",
  );

describe.skipIf(!hasMulticast)("nodes on one network, over real multicast", () => {
  test("find each other by endpoint id alone, and are gone from it when they stop", async () => {
    await using near = await open();
    await using far = await open();
    await using server = await loopbackNode({ lan: near });
    const reports: string[] = [];
    await using client = await loopbackNode({
      lan: far,
      onDiscovery: ({ steps }) => void reports.push(...steps.map(({ source, outcome }) => `${source} ${outcome}`)),
    });
    const listener = await server.transport("test").listen("", { signal: never });
    const serving = echoAll(listener.streams);
    const stream = await client.transport("test").dial(server.endpointId, { signal: never });
    await ping(stream);
    expect(stream.info()).toMatchObject({ peer: server.endpointId, path: "direct" });
    expect(reports).toEqual(["lan found", "n0-dns not-used"]);
    await stream[Symbol.asyncDispose]();
    await listener[Symbol.asyncDispose]();
    await serving;
    await expect
      .poll(async () => (await far.find(server.endpointId, { signal: never })).addresses, { timeout: 10_000 })
      .toEqual([]);
  });

  test("are not fooled by a false address, which may cost a dial but not the proof of the endpoint id", async () => {
    await using near = await open();
    await using liar = await open();
    await using far = await open();
    await using server = await loopbackNode({ lan: near });
    await using impostor = await loopbackNode();
    await using client = await loopbackNode({ lan: far, dialTimeoutMs: 5_000 });
    await using listener = await server.transport("test").listen("", { signal: never });
    await using trap = await impostor.transport("test").listen("", { signal: never });
    const caught: string[] = [];
    void (async () => {
      for await (const { peer } of trap.streams) caught.push(peer);
    })();
    liar.announce(server.endpointId, () => ({
      endpointId: server.endpointId,
      alpns: ["test"],
      addresses: impostor.boundAddresses(),
    }));
    void echoAll(listener.streams);
    const dial = async (): Promise<string> => {
      const stream = await client.transport("test").dial(server.endpointId, { signal: never });
      await ping(stream);
      return stream.info().peer;
    };
    const attempt = (): Promise<unknown> => dial().catch((error: unknown) => (error as NetworkError).code);
    const answers = new Set<unknown>();
    await expect
      .poll(async () => answers.add(await attempt()).has(server.endpointId), { timeout: 10_000, interval: 10 })
      .toBe(true);
    answers.delete(server.endpointId);
    expect([...answers].filter((code) => code !== "handshake-failed")).toEqual([]);
    expect(caught).toEqual([]);
  });

  test("that nobody announces are reported as not found, with all that was tried", async () => {
    await using far = await open();
    await using client = await loopbackNode({ lan: far, dialTimeoutMs: 2_000 });
    const unknown = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
    const dial = (): Promise<unknown> =>
      client
        .transport("test")
        .dial(`${unknown}?addr=no-such-name.invalid:1`, { signal: never })
        .catch((reason: unknown) => reason);
    expect(((await dial()) as Error).message).toContain("lan not-used (asked when the others fail)");
    const error = await dial();
    expect(error).toMatchObject({ code: "peer-discovery-failed", peer: unknown });
    const { message, cause } = error as Error;
    expect(message).toMatch(
      /tried: dns failed \(no-such-name\.invalid:1: E\w+\); lan nothing \(nobody answered\); n0-dns not-used/,
    );
    expect(cause).toBeInstanceOf(DiscoveryFailure);
    expect((cause as DiscoveryFailure).steps.map(({ source }) => source)).toEqual(["dns", "lan", "n0-dns"]);
  });

  test("are asked only when what is known of a peer does not reach it, so that a liar cannot spoil what works", async () => {
    await using liar = await open();
    await using near = await open();
    await using far = await open();
    await using server = await loopbackNode({ lan: near });
    await using impostor = await loopbackNode();
    const reports: string[] = [];
    await using client = await loopbackNode({
      lan: far,
      dialTimeoutMs: 500,
      onDiscovery: ({ steps }) => void reports.push(...steps.map(({ source, outcome }) => `${source} ${outcome}`)),
    });
    await using listener = await server.transport("test").listen("", { signal: never });
    void echoAll(listener.streams);
    const announced = { endpointId: server.endpointId, alpns: [], addresses: impostor.boundAddresses() };
    liar.announce(server.endpointId, () => announced);
    const dial = async (address: string): Promise<void> => {
      await using stream = await client.transport("test").dial(address, { signal: never });
      await ping(stream);
    };
    for (let times = 0; times < 5; times += 1) await dial(`${server.endpointId}?addr=${server.boundAddresses()[0]}`);
    expect(new Set(reports)).toEqual(new Set(["configured found", "lan not-used", "n0-dns not-used"]));
    liar.withdraw(server.endpointId);
    await using fresh = await loopbackNode({ lan: far, dialTimeoutMs: 1_000 });
    const stale = `${server.endpointId}?addr=127.0.0.1:1`;
    const again = async (): Promise<void> => {
      await using stream = await fresh.transport("test").dial(stale, { signal: never });
      await ping(stream);
    };
    await expect(again()).rejects.toMatchObject({ code: "timed-out" });
    await expect.poll(() => again().then(() => "reached", String), { timeout: 10_000 }).toBe("reached");
  });

  test("answer whoever asks in mDNS's own way, and take no harm from noise", async () => {
    await using near = await open();
    await using server = await loopbackNode({ lan: near });
    await using listener = await server.transport("test").listen("", { signal: never });
    await using raw = await rawSocket();
    for (let times = 0; times < 50; times += 1)
      await raw.send(Uint8Array.from({ length: times * 20 }, () => randomInt(256)));
    const huge = recordsOf({ endpointId: server.endpointId, alpns: [], addresses: ["10.0.0.1:1"] });
    await raw.send(responsePacket(Array.from({ length: 60 }, () => huge.hosts).flat(), []));
    await expect
      .poll(
        async () => {
          await raw.send(queryPacket([{ name: SERVICE, type: "PTR" }]));
          return raw.names.some((name) => name.endsWith(`.${SERVICE}`));
        },
        { timeout: 10_000, interval: 100 },
      )
      .toBe(true);
    expect(near.counts().ignored).toBeGreaterThan(40);
    expect(listener.endpointId).toBe(server.endpointId);
  });
});

describe("LAN discovery", () => {
  test("on an interface that this host does not have finds nobody, tells so, and fails nothing", async () => {
    const events: LanEvent[] = [];
    await using lan = await open(events, ["192.0.2.123"]);
    expect(await lan.find("00".repeat(32), { signal: never })).toEqual({
      addresses: [],
      detail: "no interface of this host has multicast",
    });
    expect(events).toEqual([]);
  });

  test("stops at once while somebody waits for an answer", async () => {
    const lan = await open();
    const finding = lan.find("00".repeat(32), { signal: never });
    await lan[Symbol.asyncDispose]();
    expect((await finding).addresses).toEqual([]);
  });

  test("ends a search with the signal's reason", async () => {
    await using lan = await open();
    await expect(lan.find("00".repeat(32), { signal: AbortSignal.abort(new Error("enough")) })).rejects.toThrow(
      "enough",
    );
  });
});

/** A bare socket on the group, as other mDNS software has it. */
async function rawSocket() {
  const socket = createSocket({ type: "udp4", reuseAddr: true });
  const names: string[] = [];
  socket.on("message", (bytes) => {
    const packet = readPacket(bytes);
    if (packet?.isResponse === true) names.push(...packet.records.map(({ name }) => name));
  });
  await new Promise<void>((resolve) => socket.bind({ port, address: "0.0.0.0" }, resolve));
  socket.setMulticastInterface("127.0.0.1");
  socket.addMembership("224.0.0.251", "127.0.0.1");
  return {
    names,
    send: (bytes: Uint8Array) =>
      new Promise<void>((resolve) => socket.send(bytes, port, "224.0.0.251", () => resolve())),
    [Symbol.asyncDispose]: async () => void socket.close(),
  };
}
