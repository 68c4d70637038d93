import { MAX_TARGET, type ShareHashing, targetToBytes } from "@adit/bitcoin";
import { type ClientChannel, type ClientEvent, MiningClient } from "@adit/channels";
import { dialect, type MiningMessage, mining, u256 } from "@adit/codec";
import { loadCrypto } from "@adit/fast-crypto";
import { type ByteStream, dialSv2, NetworkError, type Sv2Connection } from "@adit/network-helpers";
import { alpns, type IrohNodeManager } from "@adit/network-helpers/iroh";
import { tcp } from "@adit/network-helpers/tcp";
import { decodeAuthorityPublicKey, type NoiseCrypto } from "@adit/noise";
import { startNode } from "./iroh-node.ts";
import { measureRounds } from "./measure.ts";
import { mine } from "./mining-work.ts";
import { type Listening, PoolProcesses } from "./pool-processes.ts";
import { type BenchOptions, Skipped, type Suite } from "./suite.ts";

/** Frames handed to the writer at once: a proxy's burst. */
const BATCH = 50;
const CONNECTIONS = 8;
const DEADLINE_MS = 10_000;
const encoder = dialect("mining");
const never = new AbortController().signal;

/** Shares through a running pool: sealed, sent, judged, written to disk, acknowledged. */
export const pool: Suite = {
  async *run(options) {
    await using processes = await PoolProcesses.start();
    const { noise, hashing, report } = await loadCrypto();
    const hello = { authority: processes.pool.authority_public_key, noise, hashing };
    const groups: { readonly dial: Dial; readonly miners: readonly Miner[] }[] = [];
    await using _ = { [Symbol.asyncDispose]: () => closeAll(groups.flatMap(({ miners }) => miners)) };
    await using node = await startNode().catch(withoutIroh);
    for (const dial of dialsTo(processes.pool, node)) {
      const miners: Miner[] = [];
      groups.push({ dial, miners });
      while (miners.length < dial.connections) miners.push(await Miner.open(await dial.open(), hello));
    }
    const cases = groups.map(({ dial, miners }) => ({ ...dial, sample: () => sharesPerSecond(miners, options) }));
    yield {
      title: "Shares acknowledged by a pool in a process of its own, with Noise and share store",
      unit: "shares/s",
      rows: await measureRounds(cases, options),
      notes: [
        `one extended channel a connection, ${BATCH} shares a write; every share is on disk before it is acknowledged`,
        `hashing and Noise by ${report}; the miner's process and the pool's share the cores with the store's thread`,
      ],
    };
  },
};

function withoutIroh(error: unknown): never {
  if (error instanceof NetworkError && error.code === "iroh-unavailable") throw new Skipped(error.message);
  throw error;
}

async function closeAll(miners: readonly Miner[]): Promise<void> {
  for (const miner of miners) await miner.close();
}

interface Dial {
  readonly label: string;
  readonly against: readonly string[];
  readonly connections: number;
  readonly open: () => Promise<ByteStream>;
}

function dialsTo({ listeners }: Listening, node: IrohNodeManager): readonly Dial[] {
  const over = (transport: string) => listeners.find((listener) => listener.transport === transport);
  const address = over("tcp")?.address ?? "";
  const ticket = over("iroh")?.ticket ?? "";
  const openTcp = (): Promise<ByteStream> => tcp().dial(address, { signal: never });
  const openIroh = (): Promise<ByteStream> => node.transport(alpns.mining.noise).dial(ticket, { signal: never });
  const one = "TCP, 1 connection";
  return [
    { label: one, against: [], connections: 1, open: openTcp },
    { label: `TCP, ${CONNECTIONS} connections`, against: [one], connections: CONNECTIONS, open: openTcp },
    { label: "Iroh, 1 connection", against: [one], connections: 1, open: openIroh },
  ];
}

/** Shares are found first, so that only their way through the pool is timed. */
async function sharesPerSecond(miners: readonly Miner[], { quick }: BenchOptions): Promise<number> {
  const count = quick ? 500 : 5_000;
  for (const miner of miners) miner.prepare(count);
  const started = performance.now();
  await Promise.all(miners.map((miner) => miner.submit()));
  return (count * miners.length) / ((performance.now() - started) / 1000);
}

/** One connection with one channel. */
class Miner {
  readonly #connection: Sv2Connection<"mining">;
  readonly #incoming: AsyncIterator<{ readonly message: { readonly name: string } }>;
  readonly #client = new MiningClient();
  readonly #hashing: ShareHashing;
  #round = 0;
  #frames: readonly Uint8Array[] = [];

  private constructor(connection: Sv2Connection<"mining">, hashing: ShareHashing) {
    this.#connection = connection;
    this.#incoming = connection.messages[Symbol.asyncIterator]();
    this.#hashing = hashing;
  }

  static async open(
    stream: ByteStream,
    {
      authority,
      noise,
      hashing,
    }: { readonly authority: string; readonly noise: NoiseCrypto; readonly hashing: ShareHashing },
  ): Promise<Miner> {
    const hello = {
      flags: 0,
      endpointHost: "",
      endpointPort: 0,
      vendor: "Adit bench",
      hardwareVersion: "",
      firmware: "",
    };
    const connection = await dialSv2(
      stream,
      { protocol: "mining", ...hello, deviceId: "", requestExtensions: [] },
      {
        security: { noise: { crypto: noise, authority: decodeAuthorityPublicKey(authority) } },
        signal: never,
        deadlineMs: DEADLINE_MS,
      },
    );
    const miner = new Miner(connection, hashing);
    const maxTarget = u256(targetToBytes(MAX_TARGET));
    const request = { requestId: 1, userIdentity: "bench", nominalHashRate: 0, maxTarget, minExtranonceSize: 8 };
    await connection.write(miner.#client.openExtended(request));
    while (miner.#channel()?.activeJob === undefined) await miner.#next();
    return miner;
  }

  /** Finds shares and encodes them. */
  prepare(count: number): void {
    const channel = this.#channel();
    if (channel === undefined) throw new Error("the pool has closed the channel");
    this.#round += 1;
    this.#frames = mine(channel, { hashing: this.#hashing, count, round: this.#round }).map((share) =>
      encoder.encode(share),
    );
  }

  /** Sends what was prepared; resolves when all of it is acknowledged. */
  async submit(): Promise<void> {
    const frames = this.#frames;
    await Promise.all([this.#write(frames), this.#acknowledged(frames.length)]);
  }

  async close(): Promise<void> {
    await this.#connection[Symbol.asyncDispose]();
  }

  async #write(frames: readonly Uint8Array[]): Promise<void> {
    for (let at = 0; at < frames.length; at += BATCH) await this.#connection.writeFrames(frames.slice(at, at + BATCH));
  }

  async #acknowledged(count: number): Promise<void> {
    for (let acknowledged = 0; acknowledged < count; ) {
      for (const event of await this.#next()) {
        if (event.type === "shares-accepted") acknowledged += event.count;
        if (event.type === "share-rejected") throw new Error(`the pool refused a share: ${event.errorCode}`);
      }
    }
  }

  async #next(): Promise<readonly ClientEvent[]> {
    const { done, value } = await this.#incoming.next();
    if (done === true) throw new Error("the pool closed the connection");
    return isMining(value.message) ? this.#client.handle(value.message, Date.now()) : [];
  }

  #channel(): ClientChannel | undefined {
    const [channel] = this.#client.channels.values();
    return channel;
  }
}

function isMining(message: { readonly name: string }): message is MiningMessage {
  return Object.hasOwn(mining.rows, message.name);
}
