import { afterEach, describe, expect, test } from "vitest";
import type { ByteStream, Listener, Transport } from "../byte-stream.ts";
import { NetworkError } from "../errors.ts";
import { loopbackNode } from "../iroh/testing/loopback.ts";
import { readExactly } from "../iroh/testing/streams.ts";
import { tcp } from "../tcp/index.ts";
import { PeerConnector } from "./peer-connector.ts";

const never = new AbortController().signal;
const opened: AsyncDisposable[] = [];

afterEach(async () => {
  for (const one of opened.splice(0).toReversed()) await one[Symbol.asyncDispose]();
});

/** A dialler and a listener that do not know of each other. */
interface Network {
  readonly dialler: Transport;
  readonly listener: Transport;
  /** Where to listen so that the listener comes back where it was. */
  readonly address: (last: Listener | undefined) => string;
}

const networks: readonly { readonly name: string; readonly make: () => Promise<Network> }[] = [
  {
    name: "TCP",
    make: async () => ({
      dialler: tcp(),
      listener: tcp(),
      address: (last) => last?.address ?? "127.0.0.1:0",
    }),
  },
  {
    name: "Iroh",
    make: async () => {
      const [here, there] = [await loopbackNode(), await loopbackNode()];
      opened.push(here, there);
      return { dialler: here.transport("peers-test"), listener: there.transport("peers-test"), address: () => "" };
    },
  },
];

/** Answers each byte with itself, remembers them all, and can be lost and come back. */
class Server {
  readonly got: number[] = [];
  readonly #network: Network;
  readonly #streams = new Set<ByteStream>();
  #listener: Listener | undefined;

  constructor(network: Network) {
    this.#network = network;
  }

  async start(): Promise<string> {
    const { listener, address } = this.#network;
    this.#listener = await listener.listen(address(this.#listener), { signal: never });
    void this.#serve(this.#listener);
    return this.#listener.address;
  }

  /** Gone, without a goodbye. */
  async lose(): Promise<void> {
    await this.#listener?.[Symbol.asyncDispose]();
    for (const stream of this.#streams) stream.abort(new NetworkError("closed", { peer: "", message: "lost" }));
    this.#streams.clear();
  }

  async #serve(listener: Listener): Promise<void> {
    for await (const stream of listener.streams) {
      this.#streams.add(stream);
      this.#answer(stream).catch(() => undefined);
    }
  }

  async #answer(stream: ByteStream): Promise<void> {
    for await (const bytes of stream.source) {
      this.got.push(...bytes);
      await stream.write(bytes);
    }
    await stream[Symbol.asyncDispose]();
  }
}

/** A stream and where it is read; delivering is one byte there and back. */
class Line implements AsyncDisposable {
  readonly #stream: ByteStream;
  readonly #source: AsyncIterator<Uint8Array>;

  constructor(stream: ByteStream) {
    this.#stream = stream;
    this.#source = stream.source[Symbol.asyncIterator]();
  }

  async echo(byte: number): Promise<void> {
    await this.#stream.write(Uint8Array.of(byte));
    expect([...(await readExactly(this.#source, 1))]).toEqual([byte]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stream[Symbol.asyncDispose]();
  }
}

function connect(dialler: Transport, maxConnections = 10): PeerConnector<Line, number> {
  const connector = new PeerConnector<Line, number>({
    dial: async (peer, { signal }) => new Line(await dialler.dial(peer, { signal })),
    messages: { deliver: (line, byte) => line.echo(byte), sizeOf: () => 1 },
    options: { maxConnections, breakerFailures: 1_000_000, backoffMinMs: 1, backoffMaxMs: 20 },
  });
  opened.push(connector);
  return connector;
}

describe.each(networks)("over $name", ({ make }) => {
  test("messages reach a peer that is lost and comes back, each once and in order", async () => {
    const network = await make();
    const server = new Server(network);
    const address = await server.start();
    const connector = connect(network.dialler);
    expect(await connector.send(address, 1)).toEqual({ kind: "delivered" });
    await server.lose();
    const later = [2, 3, 4, 5].map((byte) => connector.send(address, byte));
    // The loss has been met, and a dial has failed, before the peer is back.
    const lost = (): boolean => connector.stats().counts.dialFailures > 0;
    await expect.poll(lost, { timeout: 20_000, interval: 5 }).toBe(true);
    await server.start();
    const outcomes = await Promise.all(later);
    expect(outcomes).toEqual(later.map(() => ({ kind: "delivered" })));
    expect(server.got).toEqual([1, 2, 3, 4, 5]);
  });

  test("more peers than connections are served in turn, and never more are connected than allowed", async () => {
    const networksOfPeers = await Promise.all([1, 2, 3, 4].map(make));
    const [first] = networksOfPeers;
    const servers = networksOfPeers.map((network) => new Server(network));
    const addresses = await Promise.all(servers.map((server) => server.start()));
    const connector = connect(first!.dialler, 2);
    const outcomes = await Promise.all(
      [1, 2, 3].flatMap((byte) => addresses.map((address) => connector.send(address, byte))),
    );
    expect(outcomes.map(({ kind }) => kind)).toEqual(outcomes.map(() => "delivered"));
    expect(servers.map(({ got }) => got)).toEqual(servers.map(() => [1, 2, 3]));
    const { dialling, open, closing } = connector.stats().connections;
    expect(dialling + open + closing).toBeLessThanOrEqual(2);
    expect(connector.stats().counts.closed.evicted).toBeGreaterThanOrEqual(2);
  });
});
