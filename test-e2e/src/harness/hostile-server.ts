import { type DialectMessage, dialect, encodeHeader, type Protocol } from "@adit/codec";
import {
  type ByteStream,
  type FrameConnection,
  type Listener,
  type StreamInfo,
  secureResponder,
  systemEntropy,
} from "@adit/network-helpers";
import { alpns, type IrohNodeManager } from "@adit/network-helpers/iroh";
import { tcp } from "@adit/network-helpers/tcp";
import { encodeAuthorityPublicKey, pureCrypto, ResponderIdentity } from "@adit/noise";
import { loopbackNode, type Reachable } from "./dial.ts";
import { until } from "./until.ts";

/** Longest wait for a client that may as well go on as it is. */
const PATIENCE_MS = 100_000;

/** What a hostile server does with one client, from the first frame on. The connection ends when it resolves. */
export type Script<P extends Protocol> = (client: ServedClient<P>) => Promise<void>;

/** One client of a {@link HostileServer}, as the server's script sees it. */
export class ServedClient<P extends Protocol> {
  readonly #frames: FrameConnection;
  readonly #stream: BrittleStream;
  readonly #protocol: P;
  readonly #heard: DialectMessage<P>[] = [];
  #gone = false;

  constructor({ frames, stream }: { readonly frames: FrameConnection; readonly stream: BrittleStream }, protocol: P) {
    this.#frames = frames;
    this.#stream = stream;
    this.#protocol = protocol;
    frames.reader.setMaxPayload(100_000);
    void this.#read();
  }

  /** Whether the client has ended the connection. */
  get isGone(): boolean {
    return this.#gone;
  }

  /** Resolves to the next message of this name, dropping those before it. */
  async hear<N extends DialectMessage<P>["name"]>(name: N): Promise<Extract<DialectMessage<P>, { name: N }>> {
    await until(`the client's ${name}`, () => this.#gone || this.#heard.some((message) => message.name === name));
    const at = this.#heard.findIndex((message) => message.name === name);
    if (at === -1) throw new Error(`the client left before its ${name}`);
    return this.#heard.splice(0, at + 1)[at] as Extract<DialectMessage<P>, { name: N }>;
  }

  /** Resolves to the next message of any name; undefined when the client leaves before there is one. */
  async next(): Promise<DialectMessage<P> | undefined> {
    await until("the client's next message", () => this.#gone || this.#heard.length > 0, PATIENCE_MS);
    return this.#heard.shift();
  }

  /** Sends a message. A client that has left hears none, which is no fault. */
  async say(message: DialectMessage<P>): Promise<void> {
    await this.raw(dialect(this.#protocol).encode(message));
  }

  /** Sends a frame of any type with any payload. */
  async frame(messageType: number, payload: Uint8Array, channelMsg = false): Promise<void> {
    const header = encodeHeader({ extensionType: 0, channelMsg, messageType, length: payload.length });
    await this.raw(Buffer.concat([header, payload]));
  }

  /** Sends bytes as one frame, sealed. */
  async raw(frame: Uint8Array): Promise<void> {
    await this.#frames.writer.write(frame).catch(() => {});
  }

  /** Sends bytes that are no frame at all. */
  async unsealed(bytes: Uint8Array): Promise<void> {
    await this.#stream.write(bytes).catch(() => {});
  }

  /** Lets the next frame break off in its middle, and the connection with it. */
  cutNext(): void {
    this.#stream.cutsNext = true;
  }

  /** Resolves when the client has ended the connection. */
  async left(timeoutMs = PATIENCE_MS): Promise<void> {
    await until("the client leaves", () => this.#gone, timeoutMs);
  }

  async #read(): Promise<void> {
    try {
      for await (const frame of this.#frames.reader.frames) {
        const decoded = dialect(this.#protocol).decode({ ...frame, payload: frame.payload.slice() });
        if (decoded.kind === "message") this.#heard.push(decoded.message);
      }
    } catch {
      // Broken off is over, too.
    } finally {
      this.#gone = true;
    }
  }
}

/** A stream that ends in the middle of a write when told. */
class BrittleStream implements ByteStream {
  cutsNext = false;
  readonly #stream: ByteStream;

  constructor(stream: ByteStream) {
    this.#stream = stream;
  }

  get peer(): string {
    return this.#stream.peer;
  }

  get source(): AsyncIterable<Uint8Array> {
    return this.#stream.source;
  }

  info(): StreamInfo {
    return this.#stream.info();
  }

  async write(bytes: Uint8Array): Promise<void> {
    if (!this.cutsNext) return await this.#stream.write(bytes);
    await this.#stream.write(bytes.slice(0, bytes.length >> 1));
    await this.#stream[Symbol.asyncDispose]();
  }

  abort(reason: Error): void {
    this.#stream.abort(reason);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stream[Symbol.asyncDispose]();
  }
}

/** A Stratum V2 server with a right key and a wrong mind: shakes hands, then follows its script. */
export class HostileServer implements Reachable, AsyncDisposable {
  readonly authority: string;
  /** Clients so far. */
  clients = 0;
  /** What went wrong in scripts, but for clients that left in the middle of one. */
  readonly faults: string[] = [];
  readonly #listener: Listener;
  readonly #node: IrohNodeManager | undefined;

  private constructor(authority: string, listener: Listener, node: IrohNodeManager | undefined) {
    this.authority = authority;
    this.#listener = listener;
    this.#node = node;
  }

  static async start<P extends Protocol>(protocol: P, over: "tcp" | "iroh", script: Script<P>): Promise<HostileServer> {
    const identity = new ResponderIdentity({
      crypto: pureCrypto,
      entropy: systemEntropy,
      authoritySecretKey: systemEntropy(32).map((byte, at) => (at === 0 ? 1 : byte)),
      certValiditySec: 3600,
    });
    const node = over === "iroh" ? await loopbackNode() : undefined;
    const transport = node === undefined ? tcp() : node.transport(alpns[protocol].noise);
    const { signal } = new AbortController();
    const listener = await transport.listen(node === undefined ? "127.0.0.1:0" : "", { signal });
    const server = new HostileServer(encodeAuthorityPublicKey(identity.authorityPublicKey), listener, node);
    const serve = async (accepted: ByteStream): Promise<void> => {
      const stream = new BrittleStream(accepted);
      const frames = await secureResponder(stream, { noise: { crypto: pureCrypto, identity } }, { signal });
      const client = new ServedClient({ frames, stream }, protocol);
      server.clients += 1;
      try {
        await script(client);
      } catch (error) {
        if (!client.isGone) server.faults.push(String(error));
      }
      await frames[Symbol.asyncDispose]();
    };
    const accept = async (): Promise<void> => {
      for await (const stream of listener.streams) serve(stream).catch(() => {});
    };
    void accept();
    return server;
  }

  /** The lines of a client's config that lead here. */
  get upstream(): string {
    const key = `authority_pubkey = "${this.authority}"`;
    if (this.#node !== undefined) return `transport = "iroh"\nticket = "${this.#listener.ticket}"\n${key}\n`;
    const [host, port] = this.#listener.address.split(":");
    return `address = "${host}"\nport = ${port}\n${key}\n`;
  }

  /** What a client checks its certificate against. */
  get details(): Reachable["details"] {
    return { authority_public_key: this.authority };
  }

  listener(transport: "tcp" | "iroh"): ReturnType<Reachable["listener"]> {
    const { address, endpointId = null, ticket = null } = this.#listener;
    if ((transport === "iroh") === (ticket !== null)) return { address, endpoint_id: endpointId, ticket };
    throw new Error(`the server does not listen on ${transport}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#listener[Symbol.asyncDispose]();
    await this.#node?.[Symbol.asyncDispose]();
  }
}
