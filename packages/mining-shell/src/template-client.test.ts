import { encodeTransaction, hash, type Transaction } from "@adit/bitcoin";
import { defaultUpstreamPolicy, type ServerSecurity, systemEntropy } from "@adit/network-helpers";
import { decodeAuthoritySecretKey, ResponderIdentity } from "@adit/noise";
import {
  irohSettings,
  metricsRegister,
  noReload,
  openLog,
  type UpstreamSettings,
  upstreamSettings,
} from "@adit/role-kit";
import { generateAuthority, type Network, openNetwork } from "@adit/role-network";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { TemplateClient } from "./template-client.ts";
import type { TemplateEvent } from "./template-reader.ts";
import { HARD_BITS, newChain, TemplateServer } from "./testing/template-server.ts";

const log = openLog({ role: "test", level: "error", file: undefined });

async function network(): Promise<Network> {
  const context = {
    signal: new AbortController().signal,
    log,
    metrics: metricsRegister(),
    now: () => Date.now(),
    ready: () => {},
    notReady: () => {},
    ...noReload,
    setStatus: () => {},
  };
  return await openNetwork({ iroh: irohSettings.parse({}), needsIroh: "no" }, context);
}

function upstream(port: number, authorityPubkey?: string): UpstreamSettings {
  const trust = authorityPubkey === undefined ? { encryption: "plain" } : { authorityPubkey };
  return z.strictObject(upstreamSettings).parse({ address: "127.0.0.1", port, ...trust });
}

/** A client of the template server at a port, with all it was told. Byte fields are copied, as its user must. */
class Client implements AsyncDisposable {
  readonly events: TemplateEvent[] = [];
  readonly client: TemplateClient;
  readonly #metrics = metricsRegister();
  #waiting: (() => void)[] = [];

  constructor(network: Network, port: number | readonly number[], authorityPubkey?: string) {
    const ports = typeof port === "number" ? [port] : port;
    this.client = new TemplateClient({
      network,
      providers: ports.map((port) => upstream(port, authorityPubkey)),
      policy: defaultUpstreamPolicy,
      constraints: {
        name: "CoinbaseOutputConstraints",
        coinbaseOutputMaxAdditionalSize: 40,
        coinbaseOutputMaxAdditionalSigops: 0,
      },
      onEvent: (event) => this.#note(structuredClone(event)),
      onChange: () => {},
      log,
      metrics: this.#metrics,
      now: () => Date.now(),
    });
  }

  /** What became of the provider's requests to connect elsewhere. */
  async results(): Promise<Record<string, number>> {
    const { body } = await this.#metrics.expose();
    const lines = body.matchAll(/^sv2_template_client_reconnects_total\{result="([a-z-]+)"\} (\d+)$/gm);
    return Object.fromEntries([...lines].map(([, result = "", count]) => [result, Number(count)]));
  }

  /** Resolves with the first event of a kind, from the `from`th event on. */
  async told<T extends TemplateEvent["type"]>(
    type: T,
    from = 0,
  ): Promise<Extract<TemplateEvent, { readonly type: T }>> {
    for (;;) {
      const event = this.events.slice(from).find((event) => event.type === type);
      if (event !== undefined) return event as Extract<TemplateEvent, { readonly type: T }>;
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.client[Symbol.asyncDispose]();
  }

  #note(event: TemplateEvent): void {
    this.events.push(event);
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}

function transaction(index: number): Uint8Array {
  const tx: Transaction = {
    version: 2,
    inputs: [
      {
        prevHash: hash(new Uint8Array(32).fill(7)),
        index,
        script: new Uint8Array(0),
        sequence: 0xfffffffd,
        witness: [Uint8Array.of(index)],
      },
    ],
    outputs: [{ value: 1000n, script: Uint8Array.of(0x51) }],
    locktime: 0,
    segwit: true,
  };
  return encodeTransaction(tx);
}

describe("the client of a template provider", () => {
  test("is told a template and its tip, then a template's transactions when it asks", async () => {
    const transactions = [transaction(1), transaction(2)];
    await using provider = await TemplateServer.start(newChain(HARD_BITS), { transactions });
    await using net = await network();
    await using client = new Client(net, provider.port);
    const { template } = await client.told("template");
    await client.told("prev-hash");
    client.client.requestTransactionData(template.templateId);
    const { templateId, transactionList } = await client.told("transaction-data");
    expect(templateId).toBe(template.templateId);
    expect(transactionList).toEqual(transactions);
    expect(template.merklePath.length).toBe(2);
    expect(client.events.map(({ type }) => type)).toEqual([
      "provider-connected",
      "template",
      "prev-hash",
      "transaction-data",
    ]);
  });

  test("is told why when the provider does not give a template's transactions", async () => {
    await using provider = await TemplateServer.start(newChain(HARD_BITS));
    await using net = await network();
    await using client = new Client(net, provider.port);
    await client.told("prev-hash");
    client.client.requestTransactionData(999n);
    expect(await client.told("transaction-data-refused")).toEqual({
      type: "transaction-data-refused",
      templateId: 999n,
      errorCode: "template-id-not-found",
    });
  });

  test("is told that the provider is lost, asks nothing meanwhile, and connects again when it is back", async () => {
    const chain = newChain(HARD_BITS);
    const first = await TemplateServer.start(chain);
    const { port } = first;
    await using net = await network();
    await using client = new Client(net, port);
    await client.told("prev-hash");
    await first[Symbol.asyncDispose]();
    await client.told("provider-lost");
    expect(client.client.status()).toMatchObject({ connection: null });
    client.client.requestTransactionData(1n);
    const from = client.events.length;
    await using _second = await TemplateServer.start(chain, { port, firstId: 100n });
    const { template } = await client.told("template", from);
    expect(template.templateId).toBeGreaterThanOrEqual(100n);
    expect(client.events.slice(from).map(({ type }) => type)).not.toContain("transaction-data");
    expect(client.client.status()).toMatchObject({ upstream: { state: "connected" }, away: null });
  });
});

/** Providers of one operator, as their authority key shows. */
function authority(net: Network): { readonly publicKey: string; readonly security: ServerSecurity } {
  const { publicKey, secretKey } = generateAuthority();
  const { crypto } = net;
  const authoritySecretKey = decodeAuthoritySecretKey(secretKey);
  const identity = new ResponderIdentity({ crypto, entropy: systemEntropy, authoritySecretKey, certValiditySec: 3600 });
  return { publicKey, security: { noise: { crypto, identity } } };
}

/** Everything after the first `from` events, by its type, and templates by their number. */
const since = (client: Client, from: number): readonly unknown[] =>
  client.events.slice(from).map((event) => {
    if (event.type === "template") return Number(event.template.templateId);
    return event.type === "provider-lost" ? `lost, ${event.isReplaced === true ? "" : "not "}replaced` : event.type;
  });

describe("a template provider that asks its client to connect elsewhere", () => {
  test("is left for another with the same key, whose work comes in the moment in which its own ends", async () => {
    const chain = newChain(HARD_BITS);
    await using net = await network();
    const { publicKey, security } = authority(net);
    await using first = await TemplateServer.start(chain, { security });
    await using second = await TemplateServer.start(chain, { security, firstId: 100n });
    await using client = new Client(net, first.port, publicKey);
    await client.told("prev-hash");
    const from = client.events.length;
    first.sendAway({ newHost: "", newPort: second.port });
    await client.told("prev-hash", from);
    expect(since(client, from)).toEqual(["lost, replaced", "provider-connected", 100, "prev-hash"]);
    expect(client.client.status()).toMatchObject({ upstream: { state: "connected" }, away: null });
    // A block on the work of the one that was left is still found in the moment after.
    const solution = {
      name: "SubmitSolution",
      templateId: 1n,
      version: 1,
      headerTimestamp: 1,
      headerNonce: 1,
    } as const;
    client.client.submit({ ...solution, coinbaseTx: transaction(1) });
    await expect.poll(() => [first.solutions.length, second.solutions.length]).toEqual([1, 1]);
    await expect.poll(() => first.clients, { timeout: 10_000 }).toBe(0);
    second.raiseFees();
    expect((await client.told("template", from + 4)).template.templateId).toBe(101n);
  });

  test("serves on until the other one's chain is as high as its own", async () => {
    const chain = newChain(HARD_BITS);
    await using net = await network();
    const { publicKey, security } = authority(net);
    await using first = await TemplateServer.start(chain, { security });
    const late = newChain(HARD_BITS);
    await using second = await TemplateServer.start(late, { security, firstId: 100n });
    await using client = new Client(net, first.port, publicKey);
    await client.told("prev-hash");
    first.moveOn();
    await client.told("prev-hash", client.events.length);
    const from = client.events.length;
    first.sendAway({ newHost: "", newPort: second.port });
    await expect.poll(() => second.clients).toBe(1);
    first.raiseFees();
    await client.told("template", from);
    expect(since(client, from)).toEqual([3]);
    second.moveOn(chain.tip);
    await client.told("provider-connected", from);
    expect(since(client, from)).toEqual([3, "lost, replaced", "provider-connected", 101, "prev-hash"]);
  });

  test("serves on when the other one has another key, or nobody is there", async () => {
    const chain = newChain(HARD_BITS);
    await using net = await network();
    const { publicKey, security } = authority(net);
    await using first = await TemplateServer.start(chain, { security });
    await using stranger = await TemplateServer.start(chain, { security: authority(net).security });
    await using client = new Client(net, first.port, publicKey);
    await client.told("prev-hash");
    const from = client.events.length;
    first.sendAway({ newHost: "", newPort: stranger.port });
    first.sendAway({ newHost: "", newPort: 1 });
    await expect.poll(() => client.results()).toMatchObject({ followed: 1, failed: 1, "under-way": 1 });
    first.raiseFees();
    await client.told("template", from);
    expect(since(client, from)).toEqual([2]);
    expect(stranger.constraints).toBe(0);
  });

  test("without a key is asked again where it is, and nowhere else", async () => {
    const chain = newChain(HARD_BITS);
    await using net = await network();
    await using first = await TemplateServer.start(chain);
    await using second = await TemplateServer.start(chain);
    await using client = new Client(net, first.port);
    await client.told("prev-hash");
    const from = client.events.length;
    first.sendAway({ newHost: "", newPort: second.port });
    await expect.poll(() => client.results()).toMatchObject({ followed: 1, failed: 1 });
    first.sendAway({ newHost: "", newPort: 0 });
    await client.told("prev-hash", from);
    expect(since(client, from)).toEqual(["lost, replaced", "provider-connected", 1, "prev-hash"]);
    expect([first.constraints, second.constraints]).toEqual([2, 0]);
  });
});

describe("a template provider behind another in the config", () => {
  test("serves while that is away, and gives way when it has work on as high a tip", async () => {
    const chain = newChain(HARD_BITS);
    await using net = await network();
    await using second = await TemplateServer.start(chain, { firstId: 100n });
    const first = await TemplateServer.start(chain);
    const { port } = first;
    await using client = new Client(net, [port, second.port]);
    await client.told("prev-hash");
    expect([first.clients, second.clients]).toEqual([1, 0]);
    const from = client.events.length;
    await first[Symbol.asyncDispose]();
    await client.told("prev-hash", from);
    expect(since(client, from)).toEqual(["lost, not replaced", "provider-connected", 100, "prev-hash"]);

    const back = client.events.length;
    await using _again = await TemplateServer.start(chain, { port });
    await client.told("prev-hash", back);
    expect(since(client, back)).toEqual(["lost, replaced", "provider-connected", 1, "prev-hash"]);
    await expect.poll(() => second.clients, { timeout: 10_000 }).toBe(0);
  });
});

describe("a template provider that another one is named for in the config", () => {
  test("serves until the other gives work, however long that takes", async () => {
    const chain = newChain(HARD_BITS);
    await using net = await network();
    await using first = await TemplateServer.start(chain);
    const { port } = await TemplateServer.start(chain).then(async (server) => {
      await using known = server;
      return { port: known.port };
    });
    await using client = new Client(net, first.port);
    await client.told("prev-hash");
    const from = client.events.length;
    client.client.replace({ providers: [upstream(port)], policy: { ...defaultUpstreamPolicy, retryMaxMs: 500 } });
    first.raiseFees();
    await client.told("template", from);
    await using _second = await TemplateServer.start(chain, { port, firstId: 100n });
    await client.told("provider-connected", from);
    expect(since(client, from)).toEqual([2, "lost, replaced", "provider-connected", 100, "prev-hash"]);
    await expect.poll(() => first.clients, { timeout: 10_000 }).toBe(0);
  });

  test("is kept when the other cannot be reached by this process at all", async () => {
    await using net = await network();
    await using first = await TemplateServer.start(newChain(HARD_BITS));
    await using client = new Client(net, first.port);
    await client.told("prev-hash");
    const iroh = { ...upstream(1), transport: "iroh", endpointId: "ab".repeat(32) } as const;
    const change = (): void => client.client.replace({ providers: [iroh], policy: defaultUpstreamPolicy });
    expect(change).toThrow(/started without Iroh/);
    expect(client.client.status()).toMatchObject({ upstream: { state: "connected" } });
  });
});
