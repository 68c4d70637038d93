import { displayHash, type ShareHashing } from "@adit/bitcoin";
import type { TemplateDistributionMessage } from "@adit/codec";
import { NetworkError, type NetworkErrorCode, type Sv2Connection } from "@adit/network-helpers";
import { peerText, type RoleContext } from "@adit/role-kit";
import { ChainFile } from "./chain/chain-file.ts";
import { EmbeddedChain } from "./chain/embedded-chain.ts";
import type { SolvedBlock } from "./chain/solved-block.ts";
import { TemplateFile } from "./chain/template-file.ts";
import { chainBits, type TemplateProviderConfig } from "./config.ts";
import { ElsewhereMiner } from "./elsewhere-miner.ts";
import { type TemplateProviderMetrics, templateProviderMetrics, watchTemplateProvider } from "./metrics.ts";
import { type BlockStatus, blockStatus, type TemplateProviderStatus, templateProviderStatus } from "./status.ts";
import { TemplateQueue } from "./template-queue.ts";
import { TemplateServer, type TemplateServerEffect, type TemplateServerInput } from "./template-server.ts";

type Connection = Sv2Connection<"template_distribution">;

/** What the shell needs of its process. */
export interface TemplateProviderPorts extends Pick<RoleContext, "log" | "metrics" | "now"> {
  readonly hashing: ShareHashing;
  /** From 0 (included) to 1 (excluded). */
  readonly random: () => number;
}

interface Client {
  readonly connection: Connection;
  readonly queue: TemplateQueue;
}

const TICK_MS = 200;
/** A write that takes longer belongs to a client that does not read. */
const WRITE_TIMEOUT_MS = 60_000;

/**
 * The shell around {@link TemplateServer}: one input at a time, effects in order, one writer a client.
 *
 * A block is on disk before the tip moves and anybody is told. When it cannot be written, {@link failure} rejects.
 */
export class TemplateProvider implements AsyncDisposable {
  /** The chain; for reading. */
  readonly chain: EmbeddedChain;
  /** The core; for reading. */
  readonly server: TemplateServer;
  /** Rejects when the role cannot go on; never resolves. */
  readonly failure: Promise<never>;
  readonly #file: ChainFile;
  readonly #templates: TemplateFile;
  readonly #ports: TemplateProviderPorts;
  readonly #metrics: TemplateProviderMetrics;
  readonly #miner: ElsewhereMiner;
  readonly #clients = new Map<number, Client>();
  readonly #maxQueueBytes: number;
  readonly #ticking: NodeJS.Timeout;
  readonly #fail: (error: unknown) => void;
  #lastBlock: BlockStatus | null;
  #last: Promise<void> = Promise.resolve();

  private constructor(
    config: TemplateProviderConfig,
    files: { readonly chain: ChainFile; readonly templates: TemplateFile },
    ports: TemplateProviderPorts,
  ) {
    const { embedded, limits } = config;
    const { random } = ports;
    const { chain: file, templates } = files;
    this.#file = file;
    this.#templates = templates;
    this.#ports = ports;
    this.#maxQueueBytes = limits.maxQueueBytes;
    this.chain = new EmbeddedChain({
      bits: chainBits(embedded),
      tip: file.tip,
      mempoolTransactions: embedded.mempoolTransactions,
      random,
    });
    this.server = new TemplateServer(
      this.chain,
      {
        templateIntervalMs: embedded.templateIntervalSecs * 1000,
        feeThreshold: BigInt(embedded.feeThreshold),
        minIntervalMs: embedded.minInterval * 1000,
        elsewhereIntervalMs: embedded.blockElsewhereIntervalSecs * 1000,
        maxTemplatesPerClient: limits.maxTemplatesPerClient,
        maxRequestsPerMinute: limits.maxRequestsPerMinute,
        constraintsTimeoutMs: limits.constraintsTimeoutSecs * 1000,
        random,
        former: templates.former,
      },
      ports.now(),
    );
    this.#lastBlock = file.last === undefined ? null : blockStatus(file.last, file.tip.height);
    this.#metrics = templateProviderMetrics(ports.metrics);
    watchTemplateProvider(ports.metrics, this);
    this.#miner = new ElsewhereMiner(ports.hashing, (candidate, nonce) =>
      this.#step({ type: "elsewhere-solved", candidate, nonce }),
    );
    let fail: (error: unknown) => void = () => {};
    this.failure = new Promise<never>((_resolve, reject) => {
      fail = reject;
    });
    this.failure.catch(() => {});
    this.#fail = fail;
    this.#ticking = setInterval(() => void this.#step({ type: "tick" }).catch(() => {}), TICK_MS);
  }

  /**
   * Opens the chain the config names and starts its clock.
   *
   * @throws ChainFileError; errors of the file system as they are.
   */
  static async open(config: TemplateProviderConfig, ports: TemplateProviderPorts): Promise<TemplateProvider> {
    const { embedded } = config;
    const chain = await ChainFile.open(embedded.dataPath);
    const { tip, path, droppedBytes } = chain;
    if (droppedBytes > 0) ports.log.warn({ path, droppedBytes }, "cut off a block that a crash left half written");
    try {
      const templates = await TemplateFile.open(embedded.dataPath, { tip, bits: chainBits(embedded) });
      const fields = { path, height: tip.height, tip: displayHash(tip.hash), templates: templates.former.sent.size };
      ports.log.info(fields, "chain opened");
      return new TemplateProvider(config, { chain, templates }, ports);
    } catch (error) {
      await chain[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Serves one client until its connection ends. Rejects when it broke. */
  async serve(connection: Connection): Promise<void> {
    const client: Client = { connection, queue: new TemplateQueue(this.#maxQueueBytes) };
    const { id } = connection;
    this.#clients.set(id, client);
    const writing = this.#write(client);
    try {
      await this.#step({ type: "connected", client: id });
      for await (const { message } of connection.messages) await this.#step({ type: "message", client: id, message });
    } finally {
      this.#clients.delete(id);
      client.queue.end();
      await this.#step({ type: "disconnected", client: id });
      await writing;
    }
  }

  /** The role's part of the status document. */
  status(): TemplateProviderStatus {
    return templateProviderStatus(this.chain, this.server, this.#lastBlock);
  }

  /** Stops the clock and closes the chain once what was begun is on disk. */
  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#ticking);
    this.#miner.stop();
    await this.#last.catch(() => {});
    await this.#templates[Symbol.asyncDispose]();
    await this.#file[Symbol.asyncDispose]();
  }

  /** One input after the other, each with all that follows from it, so that no solution overtakes a block. */
  #step(input: TemplateServerInput): Promise<void> {
    this.#last = this.#last.then(() => this.#take(input));
    this.#last.catch(this.#fail);
    return this.#last;
  }

  async #take(input: TemplateServerInput): Promise<void> {
    for (const effect of this.server.handle(input, this.#ports.now())) await this.#perform(effect);
  }

  async #perform(effect: TemplateServerEffect): Promise<void> {
    const { log } = this.#ports;
    switch (effect.type) {
      case "send":
        return this.#send(effect.client, effect.messages);
      case "close":
        return this.#close(effect.client, "protocol-violation", effect.reason);
      case "keep-template":
        return await this.#note(this.#templates.add(effect.templateId, effect.sent));
      case "forget-templates":
        return await this.#note(this.#templates.clear());
      case "store-block":
        await this.#file.append(effect.block);
        return await this.#take({ type: "block-stored", block: effect.block });
      case "block-connected":
        return this.#onConnected(effect.block);
      case "solution-refused": {
        const { client, templateId, faults } = effect;
        log.warn({ client, templateId: templateId.toString(), faults }, "solution refused");
        for (const reason of faults) this.#metrics.solutionsRefused.inc({ reason });
        return;
      }
      case "mine-elsewhere":
        // Goes on beside everything else; a fault in it ends the role like any other.
        this.#miner.mine(effect.candidate).catch(this.#fail);
        return;
      case "stop-mining":
        return this.#miner.stop();
      default:
        return effect satisfies never;
    }
  }

  /** Without the file a client's solution may be lost with this process, and nothing else. */
  async #note(written: Promise<void>): Promise<void> {
    await written.catch((error: unknown) => this.#ports.log.warn({ error }, "templates not written down"));
  }

  #send(id: number, messages: readonly TemplateDistributionMessage[]): void {
    const client = this.#clients.get(id);
    if (client === undefined) return;
    for (const message of messages) {
      if (message.name === "NewTemplate") this.#metrics.templatesSent.inc({ future: String(message.futureTemplate) });
    }
    const outcome = client.queue.push(messages);
    if (outcome === "overflow") this.#close(id, "slow-consumer", `more than ${this.#maxQueueBytes} bytes wait for it`);
  }

  #close(id: number, code: NetworkErrorCode, reason: string): void {
    const client = this.#clients.get(id);
    if (client === undefined) return;
    const { peer } = client.connection;
    this.#ports.log.warn({ client: id, peer: peerText(peer), code, reason }, "client closed");
    this.#metrics.clientsClosed.inc({});
    client.connection.abort(
      new NetworkError(code, { peer, message: `${peer}: ${reason}; the client is disconnected` }),
    );
  }

  #onConnected(block: SolvedBlock): void {
    const { height, hash, solvedBy } = block;
    this.#lastBlock = blockStatus(block, height);
    this.#metrics.blocks.inc({ solved_by: solvedBy });
    this.#ports.log.info({ height, hash: displayHash(hash), solvedBy, bytes: block.bytes.length }, "block connected");
  }

  /** Writes what waits for a client, until its queue ends or its connection breaks. */
  async #write({ connection, queue }: Client): Promise<void> {
    try {
      for (let frames = await queue.take(); frames !== undefined; frames = await queue.take()) {
        const timer = setTimeout(
          () => this.#close(connection.id, "slow-consumer", "it does not read"),
          WRITE_TIMEOUT_MS,
        );
        await connection.writeFrames(frames).finally(() => clearTimeout(timer));
      }
    } catch {
      // The connection is broken, which whoever reads from it is told.
    }
  }
}
