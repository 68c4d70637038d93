import type { TemplateDistributionMessage } from "@adit/codec";
import { NetworkError, type NetworkErrorCode, type Sv2Connection, within } from "@adit/network-helpers";
import { peerText } from "@adit/role-kit";
import { Downstreams, type ReconnectTarget } from "@adit/role-network";
import type { Backend, BackendPorts } from "./backend.ts";
import type { TemplateLimits } from "./config.ts";
import { type TemplateProviderMetrics, templateProviderMetrics, watchTemplateProvider } from "./metrics.ts";
import { type TemplateProviderStatus, templateProviderStatus } from "./status.ts";
import { TemplateQueue } from "./template-queue.ts";
import { TemplateServer, type TemplateServerEffect, type TemplateServerInput } from "./template-server.ts";
import type { SourceChange } from "./template-source.ts";

type Connection = Sv2Connection<"template_distribution">;

interface Client {
  readonly connection: Connection;
  readonly queue: TemplateQueue;
  /** Resolves when nothing more is written. */
  writing: Promise<void>;
}

const TICK_MS = 200;
/** A write that takes longer belongs to a client that does not read. */
const WRITE_TIMEOUT_MS = 60_000;
/** A template that is not written down by then is sent all the same. */
const NOTE_LIMIT_MS = 500;
/** A client that does not read its last messages is not waited for longer. */
const FLUSH_MS = 500;

/**
 * The shell around {@link TemplateServer} and its backend: one input at a time, effects in order, one writer a client.
 *
 * A block is with the backend before anybody is told of anything. When the backend cannot go on, {@link failure}
 * rejects.
 */
export class TemplateProvider implements AsyncDisposable {
  /** The core; for reading. */
  readonly server: TemplateServer;
  /** Rejects when the role cannot go on; never resolves. */
  readonly failure: Promise<never>;
  readonly #backend: Backend;
  readonly #ports: BackendPorts;
  readonly #metrics: TemplateProviderMetrics;
  readonly #clients = new Map<number, Client>();
  readonly #maxQueueBytes: number;
  readonly #ticking: NodeJS.Timeout;
  readonly #fail: (error: unknown) => void;
  readonly #downstreams: Downstreams<"template_distribution">;
  #last: Promise<void> = Promise.resolve();
  /** Messages of clients that are being dealt with. */
  #underWay = 0;

  /** Takes over the backend, starts it and its clock. */
  constructor(backend: Backend, limits: TemplateLimits, ports: BackendPorts) {
    this.#backend = backend;
    this.#ports = ports;
    this.#maxQueueBytes = limits.maxQueueBytes;
    this.server = new TemplateServer(
      backend.source,
      {
        ...backend.server,
        maxTemplatesPerClient: limits.maxTemplatesPerClient,
        maxRequestsPerMinute: limits.maxRequestsPerMinute,
        constraintsTimeoutMs: limits.constraintsTimeoutSecs * 1000,
      },
      ports.now(),
    );
    this.#downstreams = new Downstreams("template_distribution", ports.log);
    this.#metrics = templateProviderMetrics(ports.metrics);
    watchTemplateProvider(ports.metrics, { backend, server: this.server });
    let fail: (error: unknown) => void = () => {};
    this.failure = new Promise<never>((_resolve, reject) => {
      fail = reject;
    });
    this.failure.catch(() => {});
    this.#fail = fail;
    backend.start({ run: (work) => this.#run(async () => this.#takeChanges(await work())), fail });
    this.#ticking = setInterval(() => void this.#run(() => this.#tick()).catch(() => {}), TICK_MS);
  }

  /** Serves one client until its connection ends. Rejects when it broke. */
  async serve(connection: Connection): Promise<void> {
    const client: Client = {
      connection,
      queue: new TemplateQueue(this.#maxQueueBytes),
      writing: Promise.resolve(),
    };
    const { id } = connection;
    this.#clients.set(id, client);
    const leave = this.#downstreams.enter((frame) => client.queue.pushFirst(frame));
    client.writing = this.#write(client);
    try {
      await this.#step({ type: "connected", client: id });
      for await (const { message } of connection.messages) {
        this.#downstreams.heard();
        this.#underWay += 1;
        await this.#step({ type: "message", client: id, message }).finally(() => {
          this.#underWay -= 1;
        });
      }
    } finally {
      this.#clients.delete(id);
      leave();
      client.queue.end();
      await this.#step({ type: "disconnected", client: id });
      await client.writing;
    }
  }

  /**
   * At the end of the role: asks the clients to connect elsewhere, if there is an elsewhere, and serves them until they have
   * gone. For those that are left everything that came is dealt with, blocks above all, and what waits for them is written.
   */
  async takeLeave(to: ReconnectTarget | undefined): Promise<void> {
    await this.#downstreams.takeLeave(to, () => this.#underWay > 0);
    const left = [...this.#clients.values()];
    for (const { queue } of left) queue.finish();
    await within(FLUSH_MS, Promise.all(left.map(({ writing }) => writing)));
  }

  /** The role's part of the status document. */
  status(): TemplateProviderStatus {
    return templateProviderStatus(this.#backend, this.server);
  }

  /** Stops the clock and closes the backend once what was begun is done. */
  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#ticking);
    await this.#last.catch(() => {});
    await this.#backend[Symbol.asyncDispose]();
  }

  #step(input: TemplateServerInput): Promise<void> {
    return this.#run(() => this.#take(input));
  }

  /** One piece of work after the other, each with all that follows from it, so that no solution overtakes a block. */
  #run(work: () => Promise<void>): Promise<void> {
    this.#last = this.#last.then(work);
    this.#last.catch(this.#fail);
    return this.#last;
  }

  async #tick(): Promise<void> {
    await this.#takeChanges(await this.#backend.tick());
    await this.#take({ type: "tick" });
  }

  async #takeChanges(changes: readonly SourceChange[]): Promise<void> {
    for (const change of changes) await this.#take(change);
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
        return await this.#note(this.#backend.templates.add(effect.templateId, effect.sent));
      case "forget-templates":
        return await this.#note(this.#backend.templates.leaveTip());
      case "block-solved":
        return await this.#takeChanges(await this.#backend.solved(effect));
      case "solution-refused": {
        const { client, templateId, faults } = effect;
        log.warn({ client, templateId: templateId.toString(), faults }, "solution refused");
        for (const reason of faults) this.#metrics.solutionsRefused.inc({ reason });
        return;
      }
      default:
        return effect satisfies never;
    }
  }

  /**
   * Without the file a client's solution may be lost with this process, and nothing else: no block waits behind a disk
   * that is broken or slow.
   */
  async #note(written: Promise<void>): Promise<void> {
    const { log } = this.#ports;
    const noted = written.catch((error: unknown) => log.warn({ error }, "templates not written down"));
    if (!(await within(NOTE_LIMIT_MS, noted))) log.warn("templates are written down late: the disk is slow");
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
