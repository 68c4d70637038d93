import { encodeTransaction, hash, type Transaction } from "@adit/bitcoin";
import { defaultUpstreamPolicy } from "@adit/network-helpers";
import { irohSettings, metricsRegister, noReload, openLog, upstreamSettings } from "@adit/role-kit";
import { type Network, openNetwork } from "@adit/role-network";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { TemplateClient, type TemplateEvent } from "./template-client.ts";
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

/** A client of the template server at a port, with all it was told. Byte fields are copied, as its user must. */
class Client implements AsyncDisposable {
  readonly events: TemplateEvent[] = [];
  readonly client: TemplateClient;
  #waiting: (() => void)[] = [];

  constructor(network: Network, port: number) {
    this.client = new TemplateClient({
      network,
      upstream: z.strictObject(upstreamSettings).parse({ address: "127.0.0.1", port, encryption: "plain" }),
      policy: defaultUpstreamPolicy,
      constraints: {
        name: "CoinbaseOutputConstraints",
        coinbaseOutputMaxAdditionalSize: 40,
        coinbaseOutputMaxAdditionalSigops: 0,
      },
      onEvent: (event) => this.#note(structuredClone(event)),
      onChange: () => {},
      log,
      now: () => Date.now(),
    });
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
