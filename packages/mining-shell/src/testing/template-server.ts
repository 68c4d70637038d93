import {
  bip34Prefix,
  checkBlock,
  encodeBlock,
  encodeHeader,
  encodeOutputs,
  hex,
  merklePath,
  merkleRootOf,
  sha256d,
  targetFromBits,
  targetToBytes,
  txid,
  witnessCommitmentOutput,
  wtxid,
} from "@adit/bitcoin";
import {
  type NewTemplate,
  type RequestTransactionDataError,
  type RequestTransactionDataSuccess,
  type SubmitSolution,
  type TemplateSetNewPrevHash,
  u256,
} from "@adit/codec";
import {
  defaultListenLimits,
  type ServerSecurity,
  type Sv2Connection,
  type Sv2Listeners,
  serveSv2,
} from "@adit/network-helpers";
import { tcp } from "@adit/network-helpers/tcp";
import type { ReconnectTarget } from "@adit/role-network";

/** One hash in 256 is a block. */
export const BLOCK_BITS = 0x2000ffff;
/** A target that no test meets. */
export const HARD_BITS = 0x1d00ffff;

interface Chain {
  readonly nBits: number;
  height: number;
  tip: Uint8Array;
  time: number;
}

/** A new chain: what several template servers, one after the other, may serve from. */
export function newChain(nBits: number): Chain {
  return { nBits, height: 100, tip: sha256d(Uint8Array.of(1)), time: Math.floor(Date.now() / 1000) - 600 };
}

const VALUE = 5_000_000_000n;

/** How a {@link TemplateServer} differs from the plainest one. */
export interface TemplateServerOptions {
  readonly port?: number;
  readonly firstId?: bigint;
  /** Transactions of every template, serialized with their witnesses; none unless told. */
  readonly transactions?: readonly Uint8Array[];
  /** `plain` unless told. */
  readonly security?: ServerSecurity;
}

/** A Template Distribution server over TCP, whose blocks are checked in full. */
export class TemplateServer implements AsyncDisposable {
  readonly chain: Chain;
  /** What came in, in order. */
  readonly solutions: SubmitSolution[] = [];
  /** Hashes of the blocks that were right, hex in internal order. */
  readonly blocks: string[] = [];
  /** What was wrong with the others. */
  readonly faults: string[] = [];
  constraints = 0;
  /** Whether right blocks move the tip. */
  movesOn = true;
  readonly #stop = new AbortController();
  readonly #clients = new Set<Sv2Connection<"template_distribution">>();
  readonly #templates = new Map<bigint, NewTemplate>();
  readonly #transactions: readonly Uint8Array[];
  #listeners: Sv2Listeners | undefined;
  #nextId: bigint;
  #fees = 0n;
  #current: NewTemplate;

  private constructor(chain: Chain, { firstId = 1n, transactions = [] }: TemplateServerOptions) {
    this.chain = chain;
    this.#nextId = firstId;
    this.#transactions = transactions;
    this.#current = this.#template(true);
  }

  static async start(chain: Chain, options: TemplateServerOptions = {}): Promise<TemplateServer> {
    const server = new TemplateServer(chain, options);
    server.#listeners = await serveSv2({
      listeners: [
        { transport: tcp(), address: `127.0.0.1:${options.port ?? 0}`, security: options.security ?? "plain" },
      ],
      server: {
        protocol: "template_distribution",
        supportedFlags: 0,
        successFlags: () => 0,
        supportedExtensions: [],
        requiredExtensions: [],
        maxPayload: () => 100_000,
      },
      limits: defaultListenLimits,
      handler: (connection) => server.#serve(connection),
      onEvent: () => {},
      signal: server.#stop.signal,
    });
    return server;
  }

  get port(): number {
    const address = this.#listeners?.status()[0]?.address ?? "";
    return Number(address.slice(address.lastIndexOf(":") + 1));
  }

  /** Sends a template with more fees for the same tip; it is work at once. */
  raiseFees(): void {
    this.#fees += 1000n;
    this.#current = this.#template(false);
    for (const client of this.#clients) void client.write(this.#current);
  }

  /** Asks every client to be served elsewhere. */
  sendAway(to: ReconnectTarget): void {
    for (const client of this.#clients) void client.write({ name: "Reconnect", ...to });
  }

  /** Clients that have said what room they need. */
  get clients(): number {
    return this.#clients.size;
  }

  /** Somebody else finds a block. */
  moveOn(tip: Uint8Array = sha256d(this.chain.tip)): void {
    this.chain.tip = tip;
    this.chain.height += 1;
    this.chain.time += 1;
    this.#current = this.#template(true);
    for (const client of this.#clients) void this.#announce(client);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#listeners?.[Symbol.asyncDispose]();
  }

  async #serve(connection: Sv2Connection<"template_distribution">): Promise<void> {
    try {
      for await (const { message } of connection.messages) {
        if (message.name === "CoinbaseOutputConstraints") {
          this.constraints += 1;
          this.#clients.add(connection);
          await this.#announce(connection);
        } else if (message.name === "SubmitSolution") {
          this.#judge({ ...message, coinbaseTx: message.coinbaseTx.slice() });
        } else if (message.name === "RequestTransactionData") {
          await connection.write(this.#transactionData(message.templateId));
        }
      }
    } finally {
      this.#clients.delete(connection);
    }
  }

  async #announce(client: Sv2Connection<"template_distribution">): Promise<void> {
    const { templateId } = this.#current;
    const future: NewTemplate = { ...this.#current, futureTemplate: true };
    const prevHash: TemplateSetNewPrevHash = {
      name: "SetNewPrevHash",
      templateId,
      prevHash: u256(this.chain.tip),
      headerTimestamp: this.chain.time,
      nBits: this.chain.nBits,
      target: u256(targetToBytes(targetFromBits(this.chain.nBits))),
    };
    void client.write(future);
    await client.write(prevHash);
  }

  #template(futureTemplate: boolean): NewTemplate {
    const template: NewTemplate = {
      name: "NewTemplate",
      templateId: this.#nextId,
      futureTemplate,
      version: 0x20000000,
      coinbaseTxVersion: 2,
      coinbasePrefix: bip34Prefix(this.chain.height + 1),
      coinbaseTxInputSequence: 0xfffffffe,
      coinbaseTxValueRemaining: VALUE + this.#fees,
      coinbaseTxOutputsCount: 1,
      coinbaseTxOutputs: encodeOutputs([witnessCommitmentOutput(this.#transactions.map(wtxid))]),
      coinbaseTxLocktime: this.chain.height,
      merklePath: merklePath(this.#transactions.map(txid)).map(u256),
    };
    this.#nextId += 1n;
    this.#templates.set(template.templateId, template);
    return template;
  }

  #transactionData(templateId: bigint): RequestTransactionDataSuccess | RequestTransactionDataError {
    if (!this.#templates.has(templateId)) {
      return { name: "RequestTransactionDataError", templateId, errorCode: "template-id-not-found" };
    }
    return {
      name: "RequestTransactionDataSuccess",
      templateId,
      excessData: new Uint8Array(0),
      transactionList: this.#transactions,
    };
  }

  #judge(solution: SubmitSolution): void {
    this.solutions.push(solution);
    const { chain } = this;
    const template = this.#templates.get(solution.templateId);
    const header = encodeHeader({
      version: solution.version,
      prevHash: chain.tip,
      merkleRoot: merkleRootOf([solution.coinbaseTx, ...this.#transactions].map(txid)),
      ntime: solution.headerTimestamp,
      nbits: chain.nBits,
      nonce: solution.headerNonce,
    });
    const faults = checkBlock(encodeBlock(header, [solution.coinbaseTx, ...this.#transactions]), {
      height: chain.height + 1,
      prevHash: chain.tip,
      target: targetFromBits(chain.nBits),
      nbits: chain.nBits,
      medianTimePast: chain.time - 1,
      now: Math.floor(Date.now() / 1000),
      subsidyPlusFees: template?.coinbaseTxValueRemaining ?? 0n,
    });
    if (faults.length > 0) {
      this.faults.push(...faults);
      return;
    }
    const block = sha256d(header);
    this.blocks.push(hex(block));
    if (this.movesOn) this.moveOn(block);
  }
}
