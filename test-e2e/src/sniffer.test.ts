import type { SetTarget, SetupConnection, SubmitSharesExtended } from "@adit/codec";
import { decodeHeader, dialect, encodeHeader, type Frame, HEADER_SIZE, u256, workerIdentityTlv } from "@adit/codec";
import type { Received, Sv2Connection } from "@adit/network-helpers";
import type { IrohNodeManager } from "@adit/network-helpers/iroh";
import { describe, expect, test } from "vitest";
import { dialPool, dialStream, loopbackNode, type Reachable } from "./harness/dial.ts";
import { HostileServer } from "./harness/hostile-server.ts";
import { setUp } from "./harness/pool-script.ts";
import { RawPeer } from "./harness/raw-peer.ts";
import { Sniffer } from "./harness/sniffer.ts";

const TCP = { transport: "tcp" } as const;
const IROH = { transport: "iroh" } as const;

const mining = dialect("mining");

const setup: SetupConnection = {
  name: "SetupConnection",
  protocol: 0,
  minVersion: 2,
  maxVersion: 3,
  flags: 0x80000005,
  endpointHost: "pool.example",
  endpointPort: 3333,
  vendor: "vendor",
  hardwareVersion: "hardware",
  firmware: "firmware",
  deviceId: "device",
};

/** A share that is known by its nonce. */
function share(nonce: number): SubmitSharesExtended {
  const work = { jobId: 1, nonce, ntime: 0, version: 0, extranonce: Uint8Array.of(1, 2) };
  return { name: "SubmitSharesExtended", channelId: 7, sequenceNumber: 0, ...work };
}

/** A target that is known by its bytes. */
function target(byte: number): SetTarget {
  return { name: "SetTarget", channelId: 7, maximumTarget: u256(new Uint8Array(32).fill(byte)) };
}

/** A pool that answers the share of every nonce with the target of that byte. */
async function echoing(over: "tcp" | "iroh" = "tcp"): Promise<HostileServer> {
  return await HostileServer.start("mining", over, async (client) => {
    await setUp(client);
    while (!client.isGone) {
      const { nonce } = await client.hear("SubmitSharesExtended");
      await client.say(target(nonce));
    }
  });
}

async function snifferBefore(role: Reachable): Promise<Sniffer<"mining">> {
  return await Sniffer.start({ protocol: "mining", listen: TCP, upstream: { ...TCP, role } });
}

/** A client that sends shares and hears targets. */
class Client implements AsyncDisposable {
  readonly connection: Sv2Connection<"mining">;
  readonly #incoming: AsyncIterator<Received<"mining">>;

  constructor(connection: Sv2Connection<"mining">) {
    this.connection = connection;
    this.#incoming = connection.messages[Symbol.asyncIterator]();
  }

  static async dial(sniffer: Reachable, node?: IrohNodeManager): Promise<Client> {
    return new Client(await dialPool(sniffer, node));
  }

  async send(...nonces: readonly number[]): Promise<void> {
    for (const nonce of nonces) await this.connection.write(share(nonce));
  }

  /** The bytes that the next targets are made of. Rejects when the connection breaks or ends before. */
  async hear(count: number): Promise<readonly number[]> {
    const heard: number[] = [];
    while (heard.length < count) {
      const next = await this.#incoming.next();
      if (next.done === true) throw new Error("the connection has ended");
      heard.push((next.value.message as SetTarget).maximumTarget[0] ?? 0);
    }
    return heard;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.connection[Symbol.asyncDispose]();
  }
}

function frameOf(bytes: Uint8Array): Frame {
  const { length: _, ...header } = decodeHeader(bytes);
  return { ...header, payload: Uint8Array.from(bytes.subarray(HEADER_SIZE)) };
}

/** A message that no table has, of any extension and size. */
function stranger(extensionType: number, channelMsg: boolean, size = 7): Uint8Array {
  const payload = new Uint8Array(size).fill(3);
  return Buffer.concat([
    encodeHeader({ extensionType, channelMsg, messageType: 0x7f, length: payload.length }),
    payload,
  ]);
}

describe("a sniffer", () => {
  test.each([
    [TCP, TCP],
    [TCP, IROH],
    [IROH, TCP],
    [IROH, IROH],
  ])("carries frames on as they came, from %o to %o", async (listen, upstream) => {
    await using server = await echoing(upstream.transport);
    // What comes out of the outer one is what the inner one sees.
    const between = { ...upstream, encryption: "plain" } as const;
    const protocol = "mining";
    await using inner = await Sniffer.start({ protocol, listen: between, upstream: { ...upstream, role: server } });
    await using outer = await Sniffer.start({ protocol, listen, upstream: { ...between, role: inner } });
    await using node = listen === IROH ? await loopbackNode() : undefined;
    using peer = new RawPeer(await dialStream(outer, node));
    await peer.shakeHands(outer.details.authority_public_key);
    const sent = [
      mining.encode(setup),
      stranger(0, true),
      mining.encode(share(1), [
        workerIdentityTlv("worker"),
        { extensionType: 9, fieldType: 9, value: Uint8Array.of(9) },
      ]),
      stranger(0x3333, false, 90_000),
      mining.encode(share(2)),
    ];
    for (const frame of sent) await peer.sendWhole(frame);
    const answers = [await peer.receive(), await peer.receive(), await peer.receive()];
    const accepted = { name: "SetupConnectionSuccess", usedVersion: 2, flags: 0 } as const;
    expect(answers).toEqual([accepted, target(1), target(2)].map((answer) => frameOf(mining.encode(answer))));
    expect(inner.sightings("up").map(({ frame }) => frame)).toEqual(sent.map(frameOf));
    expect(outer.sightings("down").map(({ frame }) => frame)).toEqual(answers);
  });

  test("reads no further than a message it holds, and lets what comes the other way pass", async () => {
    await using server = await echoing();
    await using sniffer = await snifferBefore(server);
    await using client = await Client.dial(sniffer);
    using held = sniffer.hold("up", "SubmitSharesExtended", { where: ({ nonce }) => nonce === 2 });
    const nonces = Array.from({ length: 100 }, (_, index) => index + 1);
    await client.send(...nonces);
    expect(await held.caught()).toMatchObject({ nonce: 2 });
    await sniffer.inject("up", share(200));
    expect(await client.hear(2)).toEqual([1, 200]);
    expect(sniffer.sightings("up").map(({ fate }) => fate)).toEqual(["passed", "passed", "held"]);
    held.release();
    expect(await client.hear(99)).toEqual(nonces.slice(1));
  });

  test("lets as many messages vanish as it is told", async () => {
    await using server = await echoing();
    await using sniffer = await snifferBefore(server);
    await using client = await Client.dial(sniffer);
    const dropped = sniffer.drop("up", "SubmitSharesExtended", { times: 2, where: ({ nonce }) => nonce > 1 });
    await client.send(1, 2, 3, 4);
    expect(await client.hear(2)).toEqual([1, 4]);
    expect(dropped.count).toBe(2);
  });

  test("sends other messages in place of one, their TLV fields being those of the one", async () => {
    await using server = await echoing();
    await using inner = await snifferBefore(server);
    await using outer = await snifferBefore(inner);
    await using client = await Client.dial(outer);
    const tlvs = [workerIdentityTlv("worker")];
    const close = { name: "CloseChannel", channelId: 7, reasonCode: "" } as const;
    outer.replace("up", "SubmitSharesExtended", { by: (message) => [message, close, { ...message, nonce: 5 }] });
    outer.replace("down", "SetTarget", { by: () => [], where: ({ maximumTarget }) => maximumTarget[0] === 1 });
    await client.connection.write(share(1), tlvs);
    expect(await client.hear(1)).toEqual([5]);
    expect(
      inner
        .sightings("up")
        .map(({ message, tlvs }) => [message?.name, tlvs])
        .slice(1),
    ).toEqual([
      ["SubmitSharesExtended", tlvs],
      ["CloseChannel", []],
      ["SubmitSharesExtended", tlvs],
    ]);
  });

  test("gives a message to the newest interception that wants it, and to none once they are over", async () => {
    await using server = await echoing();
    await using sniffer = await snifferBefore(server);
    await using client = await Client.dial(sniffer);
    const all = sniffer.drop("up", "any");
    {
      using _ = sniffer.replace("up", "SubmitSharesExtended", { by: () => [share(10)] });
      await client.send(1);
      expect(await client.hear(1)).toEqual([10]);
    }
    await client.send(2);
    expect(await all.caught()).toMatchObject({ nonce: 2 });
    all[Symbol.dispose]();
    await client.send(3);
    expect(await client.hear(1)).toEqual([3]);
  });

  test("cuts the connection at a message, which does not arrive", async () => {
    await using server = await echoing();
    await using sniffer = await snifferBefore(server);
    await using client = await Client.dial(sniffer);
    sniffer.cutAt("down", "SetTarget", { where: ({ maximumTarget }) => maximumTarget[0] === 2 });
    await client.send(1, 2);
    expect(await client.hear(1)).toEqual([1]);
    await expect(client.hear(1)).rejects.toThrow();
    expect(await sniffer.ended()).toMatchObject({ by: "sniffer", connection: 1 });
  });

  test.each([TCP, IROH])("is an upstream that goes down and comes back at its address, over %o", async (listen) => {
    await using server = await echoing();
    const protocol = "mining";
    await using sniffer = await Sniffer.start({ protocol, listen, upstream: { ...TCP, role: server } });
    await using node = listen === IROH ? await loopbackNode() : undefined;
    await using first = await Client.dial(sniffer, node);
    await using second = await Client.dial(sniffer, node);
    expect([sniffer.connections, server.clients]).toEqual([2, 2]);
    await sniffer.refuse();
    await expect(Client.dial(sniffer, node)).rejects.toThrow();
    await first.send(1);
    await second.send(2);
    expect([await first.hear(1), await second.hear(1)]).toEqual([[1], [2]]);
    sniffer.cut();
    await Promise.all([first, second].map((client) => expect(client.hear(1)).rejects.toThrow()));
    await sniffer.accept();
    await using third = await Client.dial(sniffer, node);
    await third.send(3);
    expect(await third.hear(1)).toEqual([3]);
    expect(
      (await sniffer.sighting("up", "SubmitSharesExtended", { where: ({ nonce }) => nonce === 3 })).connection,
    ).toBe(3);
  });

  test("ends a downstream's connection when the upstream is not there, and says so", async () => {
    const server = await echoing();
    await using sniffer = await snifferBefore(server);
    await server[Symbol.asyncDispose]();
    await expect(Client.dial(sniffer)).rejects.toThrow();
    expect(await sniffer.ended()).toMatchObject({
      by: "upstream",
      reason: expect.stringContaining("connection-failed"),
    });
  });

  test("shows the trace to whoever waits in vain, or is told of a message that should not be", async () => {
    await using server = await echoing();
    await using sniffer = await snifferBefore(server);
    await using client = await Client.dial(sniffer);
    const mark = sniffer.mark();
    await client.send(1);
    await client.hear(1);
    const soon = AbortSignal.timeout(1);
    const line = /SubmitSharesExtended up; the trace:[^]*#1 -> SubmitSharesExtended channel_id=7 .* nonce=1 /;
    await expect(sniffer.saw("up", "SubmitSharesExtended", { since: sniffer.mark(), signal: soon })).rejects.toThrow(
      line,
    );
    expect(() => sniffer.none("up", "SubmitSharesExtended", { since: mark })).toThrow(/went up; the trace/);
    sniffer.none("up", "SubmitSharesExtended", { where: ({ nonce }) => nonce === 2 });
    sniffer.none("up", "SubmitSharesExtended", { since: sniffer.mark() });
    await client.send(2);
    expect(await sniffer.saw("up", "SubmitSharesExtended", { where: ({ nonce }) => nonce === 2 })).toMatchObject({
      nonce: 2,
    });
  });

  test("hands over what a role said last, and then its leaving", async () => {
    await using server = await HostileServer.start("mining", "tcp", async (client) => {
      await setUp(client);
      await client.hear("SubmitSharesExtended");
      await client.say(target(1));
    });
    await using sniffer = await snifferBefore(server);
    await using client = await Client.dial(sniffer);
    await client.send(1);
    expect(await client.hear(1)).toEqual([1]);
    await expect(client.hear(1)).rejects.toThrow("the connection has ended");
    expect(await sniffer.ended()).toMatchObject({ by: "upstream", reason: "closed" });
  });

  test("ends although it holds a message", async () => {
    await using server = await echoing();
    const sniffer = await snifferBefore(server);
    await using client = await Client.dial(sniffer);
    const held = sniffer.hold("up", "SubmitSharesExtended");
    await client.send(1);
    await held.caught();
    await sniffer[Symbol.asyncDispose]();
    await expect(client.hear(1)).rejects.toThrow();
    expect(sniffer.connections).toBe(0);
  });

  test("does not hide what a scenario's own function throws", async () => {
    await using server = await echoing();
    const sniffer = await snifferBefore(server);
    await using client = await Client.dial(sniffer);
    sniffer.drop("up", "SubmitSharesExtended", {
      where: () => {
        throw new Error("a slip");
      },
    });
    await client.send(1);
    await expect(client.hear(1)).rejects.toThrow();
    await expect(sniffer[Symbol.asyncDispose]()).rejects.toMatchObject({ errors: [{ message: "a slip" }] });
  });
});
