import { randomBytes } from "node:crypto";
import { describe, expect, test, vi } from "vitest";
import type { ByteStream, Listener } from "../byte-stream.ts";
import { NetworkError } from "../errors.ts";
import { parseIrohAddress } from "./address.ts";
import { loadIroh, type NativeBiStream } from "./binding.ts";
import { endpointIdOf } from "./endpoint-id.ts";
import type { IrohNodeManager } from "./iroh-node-manager.ts";
import type { IrohListener } from "./listener.ts";
import { defaultLiveness } from "./liveness.ts";
import { exposedGc } from "./testing/gc.ts";
import { loopbackNode } from "./testing/loopback.ts";
import { rawEndpoint } from "./testing/raw.ts";
import { echo, echoAll, ping, readExactly } from "./testing/streams.ts";
import { parseTicket } from "./ticket.ts";

const never = new AbortController().signal;

/** Everything is looked at twenty times a second; the limits are the defaults. */
const fast = { ...defaultLiveness, checkIntervalMs: 50 };

/** The error of a stream that the other side ends before an echo comes back. */
function pingError(stream: ByteStream): Promise<unknown> {
  return ping(stream).then(
    () => "no error",
    (error: unknown) => error,
  );
}

/** As {@link pingError}, for a dial whose refusal arrives with it or with the first bytes, as the network has it. */
async function dialError(dialling: Promise<ByteStream>): Promise<unknown> {
  try {
    return await pingError(await dialling);
  } catch (error) {
    return error;
  }
}

/** Addresses of one family only. */
function only(listener: Listener, family: "127.0.0.1" | "[::1]"): string {
  const { endpointId, addresses } = parseIrohAddress(listener.address);
  return `${endpointId}?addr=${addresses.find((address) => address.startsWith(family))}`;
}

describe("a node", () => {
  test("binds both families on loopback and nothing else", async () => {
    for (const bind of [["127.0.0.1:0"], ["[::1]:0"], ["127.0.0.1:0", "[::1]:0"]]) {
      await using node = await loopbackNode({ bind });
      const hosts = node.boundAddresses().map((address) => address.replace(/:\d+$/, ""));
      expect(hosts.toSorted()).toEqual(["127.0.0.1", "[::1]"]);
    }
  });

  test("has the endpoint id of its key, from options, environment or chance", async () => {
    const secretKey = new Uint8Array(randomBytes(32));
    const hexKey = Buffer.from(secretKey).toString("hex");
    {
      await using node = await loopbackNode({ secretKey });
      expect(node.endpointId).toBe(endpointIdOf(secretKey));
      expect(parseTicket(node.ticket())).toEqual(node.address());
    }
    await using node = await loopbackNode({ env: { IROH_SECRET: hexKey } });
    await using other = await loopbackNode();
    expect(node.endpointId).toBe(endpointIdOf(secretKey));
    expect(other.endpointId).not.toBe(node.endpointId);
  });

  test("is the only one of its identity in the process, and its place is free after it closed", async () => {
    const secretKey = new Uint8Array(randomBytes(32));
    const starts = await Promise.allSettled([loopbackNode({ secretKey }), loopbackNode({ secretKey })]);
    expect(starts.map(({ status }) => status).toSorted()).toEqual(["fulfilled", "rejected"]);
    for (const start of starts) {
      if (start.status === "rejected") expect(start.reason).toMatchObject({ code: "node-initialisation" });
      else await start.value[Symbol.asyncDispose]();
    }
    await using again = await loopbackNode({ secretKey });
    expect(again.endpointId).toBe(endpointIdOf(secretKey));
  });

  test("says so when its port is taken or its address is not this machine's", async () => {
    await using node = await loopbackNode();
    const taken = loopbackNode({ bind: node.boundAddresses() });
    await expect(taken).rejects.toMatchObject({
      code: "node-initialisation",
      message: expect.stringMatching(/in use/),
    });
    const foreign = loopbackNode({ bind: ["192.0.2.1:0"] });
    await expect(foreign).rejects.toMatchObject({
      code: "node-initialisation",
      message: expect.stringMatching(/bind address/),
    });
    await expect(loopbackNode({ secretKey: new Uint8Array(31) })).rejects.toMatchObject({ code: "invalid-config" });
  });

  test("announces external addresses in its ticket", async () => {
    await using node = await loopbackNode({ externalAddresses: ["203.0.113.7:3333"] });
    expect(parseTicket(node.ticket()).addresses).toContain("203.0.113.7:3333");
  });

  test("does not start when its signal has aborted, and leaves its identity free", async () => {
    const secretKey = new Uint8Array(randomBytes(32));
    const signal = AbortSignal.abort(new Error("stop"));
    await expect(loopbackNode({ secretKey, signal })).rejects.toMatchObject({ code: "closed" });
    await using node = await loopbackNode({ secretKey });
    expect(node.stats().streams).toBe(0);
  });

  test("ends its listeners when it is disposed of, and refuses further use", async () => {
    const node = await loopbackNode();
    const listener = await node.transport("test").listen("", { signal: never });
    const ended = listener.streams[Symbol.asyncIterator]().next();
    await Promise.all([node[Symbol.asyncDispose](), node[Symbol.asyncDispose]()]);
    expect((await ended).done).toBe(true);
    await expect(node.transport("test").listen("", { signal: never })).rejects.toMatchObject({ code: "closed" });
    await expect(node.transport("test").dial(node.endpointId, { signal: never })).rejects.toMatchObject({
      code: "closed",
    });
  });

  test("tells its peers at once when it closes, after delivering what they were sent", async () => {
    const server = await loopbackNode();
    await using client = await loopbackNode();
    const listener = await server.transport("test").listen("", { signal: never });
    const accepted = listener.streams[Symbol.asyncIterator]();
    const stream = await client.transport("test").dial(listener.address, { signal: never });
    await stream.write(Uint8Array.of(1));
    const served = (await accepted.next()).value!;
    await served.write(new Uint8Array(100_000));
    const closing = server[Symbol.asyncDispose]();
    let got = 0;
    for await (const chunk of stream.source) got += chunk.length;
    expect(got).toBe(100_000);
    await closing;
    await expect(served.write(Uint8Array.of(1))).rejects.toMatchObject({ code: "closed" });
  });

  test("keeps endpoint, connections and streams from the garbage collector", async () => {
    const gc = exposedGc();
    const { held, address, endpointId } = await (async () => {
      const node = await loopbackNode();
      const listener = await node.transport("test").listen("", { signal: never });
      const accepted = listener.streams[Symbol.asyncIterator]();
      const client = await loopbackNode();
      const dialled = await client.transport("test").dial(listener.address, { signal: never });
      await dialled.write(Uint8Array.of(1));
      const served = (await accepted.next()).value!;
      const held = { node, client, dialled, served } as const;
      return {
        held: Object.fromEntries(Object.entries(held).map(([name, value]) => [name, new WeakRef<object>(value)])),
        address: listener.address,
        endpointId: node.endpointId,
      };
    })();
    for (let round = 0; round < 30; round++) {
      gc();
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    const dialled = held["dialled"]!.deref() as ByteStream | undefined;
    const served = held["served"]!.deref() as ByteStream | undefined;
    expect(dialled).toBeDefined();
    const echoing = echo(served!);
    await dialled!.write(Uint8Array.of(2, 3));
    // The first byte, never read so far, comes first.
    expect(await readExactly(dialled!.source[Symbol.asyncIterator](), 3)).toEqual(Uint8Array.of(1, 2, 3));
    await dialled![Symbol.asyncDispose]();
    await echoing;
    expect(address).toContain(endpointId);
    for (const name of ["client", "node"]) await (held[name]!.deref() as IrohNodeManager)[Symbol.asyncDispose]();
  });
});

describe("listening", () => {
  test("serves several ALPNs on one endpoint, each to its own listener", async () => {
    await using server = await loopbackNode();
    await using client = await loopbackNode();
    const listeners = new Map<string, Listener>();
    for (const alpn of ["sv2-m", "sv2-jd"])
      listeners.set(alpn, await server.transport(alpn).listen("", { signal: never }));
    expect(server.stats().alpns.toSorted()).toEqual(["sv2-jd", "sv2-m"]);
    for (const [alpn, listener] of listeners) {
      const stream = await client.transport(alpn).dial(server.ticket(), { signal: never });
      const reading = ping(stream);
      const served = (await listener.streams[Symbol.asyncIterator]().next()).value!;
      expect(served.peer).toBe(client.endpointId);
      await Promise.all([echo(served), reading.then(() => stream[Symbol.asyncDispose]())]);
    }
  });

  test("starts again on the same endpoint and port after a listener was stopped", async () => {
    await using server = await loopbackNode();
    await using client = await loopbackNode();
    const bound = server.boundAddresses();
    for (let round = 0; round < 3; round++) {
      await using listener = await server.transport("test").listen("", { signal: never });
      const serving = echoAll(listener.streams);
      const stream = await client.transport("test").dial(listener.address, { signal: never });
      await ping(stream);
      await stream[Symbol.asyncDispose]();
      await listener[Symbol.asyncDispose]();
      await serving;
      await expect(client.transport("test").dial(listener.address, { signal: never })).rejects.toMatchObject({
        code: "alpn-mismatch",
      });
    }
    expect(server.boundAddresses()).toEqual(bound);
  });

  test("takes no address and each ALPN once", async () => {
    await using node = await loopbackNode();
    const transport = node.transport("test");
    await using listener = await transport.listen("", { signal: never });
    expect((listener as IrohListener).ticket).toBe(node.ticket());
    await expect(transport.listen("0.0.0.0:1", { signal: never })).rejects.toMatchObject({ code: "invalid-config" });
    await expect(transport.listen("", { signal: never })).rejects.toMatchObject({ code: "node-initialisation" });
    expect(() => node.transport("")).toThrow(expect.objectContaining({ code: "invalid-config" }));
  });

  test("breaks accepted streams nobody pulled when it stops", async () => {
    await using server = await loopbackNode();
    await using client = await loopbackNode();
    const listener = await server.transport("test").listen("", { signal: never });
    const stream = await client.transport("test").dial(listener.address, { signal: never });
    const failing = pingError(stream);
    await vi.waitFor(() => expect(server.stats().incoming.accepted).toBe(1));
    await listener[Symbol.asyncDispose]();
    expect(await failing).toMatchObject({ code: "closed" });
  });
});

describe("dialling", () => {
  test("reaches a peer by id and address, by ticket, and by name, over either family", async () => {
    await using server = await loopbackNode();
    await using client = await loopbackNode();
    await using listener = await server.transport("test").listen("", { signal: never });
    const serving = echoAll(listener.streams);
    const port = server
      .boundAddresses()
      .find((address) => address.startsWith("127."))!
      .split(":")[1];
    const addresses = [
      only(listener, "127.0.0.1"),
      only(listener, "[::1]"),
      server.ticket(),
      `${server.endpointId}?addr=localhost:${port}`,
      `${server.endpointId}?addr=no-such-name.invalid:1&addr=127.0.0.1:${port}`,
    ];
    for (const address of addresses) {
      await using fresh = await loopbackNode();
      const stream = await fresh.transport("test").dial(address, { signal: never });
      await ping(stream);
      expect(stream.info()).toMatchObject({
        transport: "iroh",
        peer: server.endpointId,
        path: "direct",
        rttMs: expect.any(Number),
      });
      await stream[Symbol.asyncDispose]();
    }
    expect(client.stats().streams).toBe(0);
    await listener[Symbol.asyncDispose]();
    await serving;
  });

  test("fails with a telling code, within its own deadline", async () => {
    await using server = await loopbackNode();
    await using client = await loopbackNode({ dialTimeoutMs: 700 });
    await using listener = await server.transport("test").listen("", { signal: never });
    const [stranger, unknown, silent] = [randomBytes(32), randomBytes(32), randomBytes(32)].map(endpointIdOf);
    const query = listener.address.slice(listener.address.indexOf("?"));
    const cases = [
      ["other", listener.address, "alpn-mismatch", server.endpointId],
      ["test", `${stranger}${query}`, "handshake-failed", stranger],
      ["test", client.ticket(), "invalid-config", client.endpointId],
      ["test", unknown!, "peer-discovery-failed", unknown],
      ["test", `${stranger}?addr=no-such-name.invalid:1`, "peer-discovery-failed", stranger],
      ["test", `${stranger}?relay=https://relay.invalid`, "invalid-config", stranger],
      ["test", `${silent}?addr=127.0.0.1:1`, "timed-out", silent],
      ["test", "nonsense", "invalid-config", ""],
    ] as const;
    for (const [alpn, address, code, peer] of cases) {
      const started = performance.now();
      const error = await client
        .transport(alpn)
        .dial(address, { signal: never })
        .catch((error: unknown) => error);
      expect(error).toBeInstanceOf(NetworkError);
      expect(error).toMatchObject({ code, peer });
      expect((error as Error).message).not.toMatch(/\n/);
      expect(performance.now() - started).toBeLessThan(3_000);
    }
    expect(client.stats().streams).toBe(0);
  });

  test("closes a connection that comes up after it was given up", async () => {
    await using raw = await rawEndpoint();
    await using client = await loopbackNode({ dialTimeoutMs: 300 });
    const { nativeText } = await loadIroh();
    raw.native.setAlpns([nativeText("test")]);
    const dialling = client.transport("test").dial(raw.address, { signal: never });
    await expect(dialling).rejects.toMatchObject({ code: "timed-out", peer: parseIrohAddress(raw.address).endpointId });
    const incoming = await raw.native.acceptNext();
    const connection = await (await incoming!.accept()).connect();
    await vi.waitFor(() => expect(connection.closeReason()).toBe("closed by peer: too late (code 0)"), 5_000);
    expect(client.stats().streams).toBe(0);
  });
});

describe("streams", () => {
  test("keep the order of 5,000 frames written in one burst, both ways at once", async () => {
    await withPair({}, async (a, accepted) => {
      const count = 5_000;
      const size = (index: number): number => 20 + (index % 300);
      const total = Array.from({ length: count }, (_, index) => size(index)).reduce((sum, bytes) => sum + bytes);
      const send = (stream: ByteStream): Promise<unknown> =>
        Promise.all(
          Array.from({ length: count }, (_, index) => {
            const frame = new Uint8Array(size(index));
            new DataView(frame.buffer).setUint32(0, index);
            return stream.write(frame);
          }),
        );
      const receive = async (stream: ByteStream): Promise<readonly number[]> => {
        const bytes = await readExactly(stream.source[Symbol.asyncIterator](), total);
        const seen: number[] = [];
        for (let at = 0; at < total; at += size(seen.length - 1)) seen.push(new DataView(bytes.buffer).getUint32(at));
        return seen;
      };
      const sending = send(a);
      const b = await accepted;
      const [here, there] = await Promise.all([receive(a), receive(b), sending, send(b)]);
      const inOrder = Array.from({ length: count }, (_, index) => index);
      expect(here).toEqual(inOrder);
      expect(there).toEqual(inOrder);
    });
  });

  test("hand over what the peer sent before it closed, however late it is read and though writing has failed", async () => {
    await withPair({}, async (a, accepted) => {
      await a.write(new Uint8Array(400_000).fill(7));
      const b = await accepted;
      await a[Symbol.asyncDispose]();
      await vi.waitFor(() => expect(b.write(Uint8Array.of(1))).rejects.toMatchObject({ code: "closed" }));
      expect(await readToEnd(b)).toBe(400_000);
    });
  });

  test("throw again after a reset, where the binding would report a clean end", async () => {
    await using raw = await rawEndpoint();
    await using server = await loopbackNode();
    await using listener = await server.transport("test").listen("", { signal: never });
    const connection = await raw.connect(listener.address, "test");
    const { send } = (await connection.openBi()) as NativeBiStream & { send: { reset(code: bigint): Promise<void> } };
    await send.writeAll([1]);
    const served = (await listener.streams[Symbol.asyncIterator]().next()).value!;
    const source = served.source[Symbol.asyncIterator]();
    expect((await source.next()).value).toEqual(Uint8Array.of(1));
    await send.reset(42n);
    for (let round = 0; round < 3; round++) await expect(source.next()).rejects.toMatchObject({ code: "closed" });
    served.abort(new Error("test over"));
  });

  test("drop a peer that lets megabytes pile up from writes nobody awaits", async () => {
    await withPair({}, async (a, accepted) => {
      await a.write(Uint8Array.of(1));
      const b = await accepted;
      const writes = Array.from({ length: 100 }, () => a.write(new Uint8Array(100_000)));
      const results = await Promise.allSettled(writes);
      expect(results.at(-1)).toMatchObject({ status: "rejected", reason: { code: "slow-consumer" } });
      await expect(readToEnd(b)).rejects.toMatchObject({ code: "refused" });
    });
  });

  test("drop a peer that does not read for too long", async () => {
    await withPair({ writeStallMs: 400, liveness: fast }, async (a) => {
      const writing = (async () => {
        for (;;) await a.write(new Uint8Array(65_536));
      })();
      await expect(writing).rejects.toMatchObject({ code: "slow-consumer" });
    });
  });

  test("stay open while idle under a watchdog that probes", async () => {
    const probing = { checkIntervalMs: 50, probeAfterMs: 100, deadAfterMs: 1_000, deadAfterWithRelayMs: 1_000 };
    await withPair({ liveness: probing }, async (a, accepted) => {
      await a.write(Uint8Array.of(1));
      const echoing = echo(await accepted);
      await new Promise((resolve) => setTimeout(resolve, 3_000));
      await a.write(Uint8Array.of(2));
      expect(await readExactly(a.source[Symbol.asyncIterator](), 2)).toEqual(Uint8Array.of(1, 2));
      await a[Symbol.asyncDispose]();
      await echoing;
    });
  });
});

describe("admission", () => {
  test("refuses endpoint ids that are not allowed before a stream exists, and follows a changed list", async () => {
    await using friend = await loopbackNode();
    await using foe = await loopbackNode();
    const refused: NetworkError[] = [];
    await using server = await loopbackNode({
      allowedPeers: [friend.endpointId],
      onAcceptError: (error) => refused.push(error),
    });
    await using listener = await server.transport("test").listen("", { signal: never });
    const seen: string[] = [];
    const serving = (async () => {
      for await (const stream of listener.streams) {
        seen.push(stream.peer);
        echo(stream).catch(() => undefined);
      }
    })();
    const allowed = await friend.transport("test").dial(listener.address, { signal: never });
    const source = allowed.source[Symbol.asyncIterator]();
    await allowed.write(Uint8Array.of(1));
    await readExactly(source, 1);
    expect(await dialError(foe.transport("test").dial(listener.address, { signal: never }))).toMatchObject({
      code: "refused",
    });
    expect(seen).toEqual([friend.endpointId]);
    expect(server.stats().incoming.refused["not-allowed"]).toBe(1);
    expect(refused).toMatchObject([
      { code: "refused", peer: foe.endpointId, message: expect.stringMatching(/allowed peers/) },
    ]);

    const broken = source.next();
    server.setAllowedPeers([foe.endpointId]);
    await expect(broken).rejects.toMatchObject({ code: "refused" });
    await ping(await foe.transport("test").dial(listener.address, { signal: never }));
    expect(seen).toEqual([friend.endpointId, foe.endpointId]);
    await listener[Symbol.asyncDispose]();
    await serving;
  });

  test("asks endpoint ids of its own for one ALPN, which open no other one and outlive a change of the node's", async () => {
    await using operator = await loopbackNode();
    await using miner = await loopbackNode();
    await using server = await loopbackNode({ allowedPeers: [miner.endpointId] });
    await using shared = await server.transport("shared").listen("", { signal: never });
    const own = server.transportFor("own", new Set([operator.endpointId]));
    await using apart = await own.listen("", { signal: never });
    const serving = [echoAll(shared.streams), echoAll(apart.streams)];
    const dial = (node: IrohNodeManager, alpn: string): Promise<ByteStream> =>
      node.transport(alpn).dial(apart.address, { signal: never });
    const calling = await dial(operator, "own");
    await ping(calling);
    await ping(await dial(miner, "shared"));
    expect(await dialError(dial(miner, "own"))).toMatchObject({ code: "refused" });
    expect(await dialError(dial(operator, "shared"))).toMatchObject({ code: "refused" });
    expect(server.stats().incoming.refused["not-allowed"]).toBe(2);

    server.setAllowedPeers([operator.endpointId]);
    await vi.waitFor(() => expect(server.stats().streams).toBe(1));
    await calling.write(Uint8Array.of(1));
    await calling[Symbol.asyncDispose]();
    await Promise.all([shared, apart].map((listener) => listener[Symbol.asyncDispose]()));
    await Promise.all(serving);
  });

  test("caps the connections of one endpoint id, and frees a place when one ends", async () => {
    await using client = await loopbackNode();
    await using other = await loopbackNode();
    await using server = await loopbackNode({ maxConnectionsPerPeer: 2, liveness: fast });
    await using listener = await server.transport("test").listen("", { signal: never });
    const serving = echoAll(listener.streams);
    const dial = (node: IrohNodeManager): Promise<ByteStream> =>
      node.transport("test").dial(listener.address, { signal: never });
    const first = await dial(client);
    await ping(first);
    await ping(await dial(client));
    expect(await dialError(dial(client))).toMatchObject({ code: "refused" });
    await ping(await dial(other));
    await first[Symbol.asyncDispose]();
    await vi.waitFor(async () => expect(await dialError(dial(client))).toBe("no error"), 5_000);
    expect(server.stats().incoming.refused["too-many-connections"]).toBeGreaterThan(0);
    await listener[Symbol.asyncDispose]();
    await serving;
  });

  test("closes the connection of a peer that opens no stream, and serves others meanwhile", async () => {
    await using raw = await rawEndpoint();
    await using client = await loopbackNode();
    await using server = await loopbackNode({ acceptTimeoutMs: 500 });
    await using listener = await server.transport("test").listen("", { signal: never });
    const serving = echoAll(listener.streams);
    const silent = await raw.connect(listener.address, "test");
    await ping(await client.transport("test").dial(listener.address, { signal: never }));
    await vi.waitFor(() => expect(silent.closeReason()).toBe("closed by peer: no-stream (code 3)"), 5_000);
    expect(server.stats()).toMatchObject({ pending: 0, streams: 1, incoming: { refused: { "no-stream": 1 } } });
    await listener[Symbol.asyncDispose]();
    await serving;
  });

  test("caps pending connections of one source, and has others prove their address when crowded", async () => {
    await using raw = await rawEndpoint();
    await using client = await loopbackNode({ bind: ["127.0.0.1:0", "[::1]:0"] });
    await using server = await loopbackNode({ maxPending: 3 });
    await using listener = await server.transport("test").listen("", { signal: never });
    const serving = echoAll(listener.streams);
    const silent = await raw.connect(only(listener, "127.0.0.1"), "test");
    await vi.waitFor(() => expect(server.stats().pending).toBe(1));
    const refused = client.transport("test").dial(only(listener, "127.0.0.1"), { signal: never });
    await expect(refused).rejects.toMatchObject({ code: "refused" });
    await using elsewhere = await loopbackNode();
    await ping(await elsewhere.transport("test").dial(only(listener, "[::1]"), { signal: never }));
    expect(server.stats().incoming).toMatchObject({ retried: 1, refused: { "too-many-pending": 1 } });
    // Keeps it from the garbage collector until here: a connection that nobody holds ends.
    expect(silent.closeReason()).toBeNull();
    await listener[Symbol.asyncDispose]();
    await serving;
  });

  test("accepts one stream a connection, whatever else the peer opens", async () => {
    await using raw = await rawEndpoint();
    await using server = await loopbackNode();
    await using listener = await server.transport("test").listen("", { signal: never });
    const { toNative } = await loadIroh();
    const connection = await raw.connect(listener.address, "test");
    const streams = [];
    for (let index = 0; index < 50; index++) {
      const bi = await connection.openBi();
      await bi.send.writeAll(toNative(Uint8Array.of(index)));
      streams.push(bi);
    }
    const accepted = listener.streams[Symbol.asyncIterator]();
    const served = (await accepted.next()).value!;
    expect(await readExactly(served.source[Symbol.asyncIterator](), 1)).toEqual(Uint8Array.of(0));
    expect(server.stats()).toMatchObject({ streams: 1, incoming: { accepted: 1 } });
    served.abort(new Error("test over"));
    expect(streams.length).toBe(50);
  });

  test("closes a connection whose peer fills streams nobody reads", async () => {
    await using raw = await rawEndpoint();
    await using server = await loopbackNode({ liveness: fast });
    await using listener = await server.transport("test").listen("", { signal: never });
    const serving = echoAll(listener.streams);
    const { toNative } = await loadIroh();
    const connection = await raw.connect(listener.address, "test");
    await (await connection.openBi()).send.writeAll(toNative(Uint8Array.of(1)));
    const filler = toNative(new Uint8Array(1_000_000));
    for (let index = 0; index < 6 && connection.closeReason() === null; index++) {
      const bi = await connection.openBi().catch(() => undefined);
      await bi?.send.writeAll(filler).catch(() => undefined);
    }
    await vi.waitFor(() => expect(connection.closeReason()).toBe("closed by peer: protocol-violation (code 1)"), 5_000);
    await listener[Symbol.asyncDispose]();
    await serving;
  });
});

/** A dialled stream, and its other end once the first byte has crossed; `options` are the dialling node's. */
async function withPair(
  options: Parameters<typeof loopbackNode>[0],
  body: (a: ByteStream, accepted: Promise<ByteStream>) => Promise<void>,
): Promise<void> {
  await using server = await loopbackNode();
  await using client = await loopbackNode(options);
  await using listener = await server.transport("test").listen("", { signal: never });
  const a = await client.transport("test").dial(listener.address, { signal: never });
  const next = listener.streams[Symbol.asyncIterator]().next();
  try {
    await body(
      a,
      next.then(({ value }) => value!),
    );
  } finally {
    a.abort(new Error("test over"));
  }
}

async function readToEnd(stream: ByteStream): Promise<number> {
  let got = 0;
  for await (const chunk of stream.source) got += chunk.length;
  return got;
}
