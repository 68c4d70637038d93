import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { BitcoinNode } from "@adit/bitcoin-node";
import { measureRounds } from "./measure.ts";
import type { Suite } from "./suite.ts";

const TRANSACTIONS = 4_000;
/** Of a transaction with two inputs and two outputs, about: so many of them fill a block. */
const TRANSACTION_BYTES = 370;
const BASELINE = "fetch and JSON.parse alone";
/** How many of a template's transactions were not in the one before it. */
const fresh = { none: 0, "one in twenty": TRANSACTIONS / 20, all: TRANSACTIONS } as const;

/** What a full block's template costs between a node's answer and its use. */
export const bitcoinNode: Suite = {
  async *run(options) {
    await using node = await TemplateServer.start();
    const cases = Object.entries(fresh).map(([share, count]) => {
      const client = new BitcoinNode({ url: node.url, auth: { user: "a", password: "b" }, network: "regtest" });
      return { label: `template, new transactions: ${share}`, count, client };
    });
    const { signal } = new AbortController();
    const rows = await measureRounds(
      [
        { label: BASELINE, sample: async () => await waiting(() => plain(node)) },
        ...cases.map(({ label, count, client }) => ({
          label,
          against: [BASELINE],
          sample: async () => {
            // What the client knows is the template before this one, whoever asked in between.
            await client.template({ signal });
            node.renew(count);
            return await waiting(() => client.template({ signal }));
          },
        })),
      ],
      options,
    );
    for (const { client } of cases) await client[Symbol.asyncDispose]();
    const size = `${TRANSACTIONS} transactions, ${(node.bytes / 1e6).toFixed(1)} MB of JSON`;
    yield { title: `A template over JSON-RPC (${size})`, unit: "ns of waiting", rows, notes: [] };
  },
};

interface RawTransaction {
  readonly data: string;
  readonly txid: string;
  readonly hash: string;
}

/** Answers every call with the same template. */
class TemplateServer implements AsyncDisposable {
  readonly #server: Server;
  #transactions: readonly RawTransaction[] = Array.from({ length: TRANSACTIONS }, transaction);
  #result = this.#template();

  private constructor() {
    this.#server = createServer((request, response) => {
      let body = "";
      request.setEncoding("utf8").on("data", (text: string) => {
        body += text;
      });
      request.on("end", () => {
        const { id } = JSON.parse(body) as { readonly id: unknown };
        response.end(`{"error":null,"id":${JSON.stringify(id)},"result":${this.#result}}`);
      });
    });
  }

  static async start(): Promise<TemplateServer> {
    const started = new TemplateServer();
    started.#server.listen(0, "127.0.0.1");
    await once(started.#server, "listening");
    return started;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Size of an answer. */
  get bytes(): number {
    return this.#result.length;
  }

  /** Replaces so many of the transactions, the longest waiting first. */
  renew(count: number): void {
    this.#transactions = [...this.#transactions.slice(count), ...Array.from({ length: count }, transaction)];
    this.#result = this.#template();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, "close");
  }

  #template(): string {
    return JSON.stringify({
      version: 0x20000000,
      rules: ["!segwit"],
      previousblockhash: "00".repeat(32),
      transactions: this.#transactions.map((raw) => ({ ...raw, depends: [], fee: 1_000, sigops: 4, weight: 997 })),
      coinbasevalue: 5_000_000_000,
      longpollid: "1",
      mintime: 1_700_000_000,
      curtime: 1_700_000_000,
      sigoplimit: 80_000,
      sizelimit: 4_000_000,
      weightlimit: 4_000_000,
      bits: "207fffff",
      height: 500,
      default_witness_commitment: `6a24aa21a9ed${"00".repeat(32)}`,
    });
  }
}

function transaction(): RawTransaction {
  const hash = randomBytes(32).toString("hex");
  return { data: randomBytes(TRANSACTION_BYTES).toString("hex"), txid: hash, hash };
}

async function plain({ url }: TemplateServer): Promise<unknown> {
  const response = await fetch(url, { method: "POST", body: '{"id":1}' });
  return JSON.parse(await response.text()) as unknown;
}

/** Nanoseconds until a call is answered. */
async function waiting(run: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await run();
  return (performance.now() - started) * 1e6;
}
