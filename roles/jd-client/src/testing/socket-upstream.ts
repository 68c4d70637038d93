import { bip34Prefix, targetFromBits, targetToBytes } from "@adit/bitcoin";
import { type JobDeclarationMessage, type MiningMessage, type Protocol, u256 } from "@adit/codec";
import type { TemplateServer } from "@adit/mining-shell/testing";
import { defaultListenLimits, type Sv2Connection, type Sv2Listeners, serveSv2 } from "@adit/network-helpers";
import { tcp } from "@adit/network-helpers/tcp";
import type { JdClientInput } from "../core/effects.ts";
import { template } from "../core/testing/templates.ts";
import { payoutScript, TestUpstream } from "../core/testing/test-upstream.ts";

const SESSION = 1;

/** A {@link TestUpstream} behind two real sockets, without encryption. */
export class SocketUpstream implements AsyncDisposable {
  readonly upstream: TestUpstream;
  readonly #stop = new AbortController();
  readonly #listeners: Sv2Listeners[] = [];
  #mining: Sv2Connection<"mining"> | undefined;
  #declaration: Sv2Connection<"job_declaration"> | undefined;

  private constructor(place: number) {
    const outputs = [{ value: 0n, script: payoutScript(place) }];
    // So many that any hash is a share: whatever miners find goes up.
    const options = { place, prefix: Uint8Array.of(0x10 + place), outputs, sharesPerMinute: 100_000 };
    this.upstream = new TestUpstream(options, (input) => this.#say(input));
  }

  static async start(place: number): Promise<SocketUpstream> {
    const server = new SocketUpstream(place);
    await server.#listen("mining", (connection) => server.#serveMining(connection));
    await server.#listen("job_declaration", (connection) => server.#serveDeclaration(connection));
    return server;
  }

  /** Ports of pool and job declarator. */
  get ports(): readonly [number, number] {
    const [pool, jds] = this.#listeners.map((listener) => {
      const address = listener.status()[0]?.address ?? "";
      return Number(address.slice(address.lastIndexOf(":") + 1));
    });
    return [pool ?? 0, jds ?? 0];
  }

  /** The pool goes over to the tip of a template server. */
  follow({ chain }: TemplateServer): void {
    const templateId = BigInt(chain.height);
    const changes = { coinbasePrefix: bip34Prefix(chain.height + 1) };
    this.upstream.follow(template(templateId, 0, changes), {
      name: "SetNewPrevHash",
      templateId,
      prevHash: u256(chain.tip),
      headerTimestamp: chain.time,
      nBits: chain.nBits,
      target: u256(targetToBytes(targetFromBits(chain.nBits))),
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await Promise.all(this.#listeners.map((listener) => listener[Symbol.asyncDispose]()));
  }

  async #listen<P extends Protocol>(
    protocol: P,
    handler: (connection: Sv2Connection<P>) => Promise<void>,
  ): Promise<void> {
    const listeners = await serveSv2({
      listeners: [{ transport: tcp(), address: "127.0.0.1:0", security: "plain" }],
      server: {
        protocol,
        supportedFlags: 0xffffffff,
        successFlags: () => 0,
        supportedExtensions: [2],
        requiredExtensions: [],
        maxPayload: () => 1_000_000,
      },
      limits: defaultListenLimits,
      handler,
      onEvent: () => {},
      signal: this.#stop.signal,
    });
    this.#listeners.push(listeners);
  }

  async #serveMining(connection: Sv2Connection<"mining">): Promise<void> {
    this.#mining = connection;
    this.#begin();
    try {
      for await (const { message } of connection.messages) this.upstream.take(owned(message) as MiningMessage);
    } finally {
      this.#mining = undefined;
      this.upstream.disconnect();
    }
  }

  async #serveDeclaration(connection: Sv2Connection<"job_declaration">): Promise<void> {
    this.#declaration = connection;
    this.#begin();
    try {
      for await (const { message } of connection.messages) this.upstream.take(owned(message) as JobDeclarationMessage);
    } finally {
      this.#declaration = undefined;
    }
  }

  #begin(): void {
    if (this.#mining !== undefined && this.#declaration !== undefined) this.upstream.connect(SESSION);
  }

  /** What is said to a connection that breaks is lost, as it would be. */
  #say(input: JdClientInput): void {
    if (input.type === "pool-message") this.#mining?.write(input.message).catch(() => {});
    if (input.type === "jds-message") this.#declaration?.write(input.message).catch(() => {});
  }
}

/** A message whose bytes outlive the next pull. */
function owned<Message extends object>(message: Message): Message {
  return Object.fromEntries(Object.entries(message).map(([key, value]) => [key, ownedValue(value)])) as Message;
}

function ownedValue(value: unknown): unknown {
  if (value instanceof Uint8Array) return value.slice();
  return Array.isArray(value) ? value.map(ownedValue) : value;
}
