import { displayHash, hex, type Network, type ShareHashing } from "@adit/bitcoin";
import { DECLARE_TX_DATA, maxPayloadOf, type SetupConnection } from "@adit/codec";
import { NetworkError, type Sv2Connection, type Sv2Server, systemEntropy } from "@adit/network-helpers";
import type { NoiseCrypto } from "@adit/noise";
import { peerText, type RoleContext } from "@adit/role-kit";
import { Downstreams, moveTarget, type ReconnectTarget } from "@adit/role-network";
import type { DeclaredBlock } from "./core/declared-job.ts";
import type { CheckVerdict, ConnectionId, DeclaratorEffect, DeclaratorInput } from "./core/effects.ts";
import { JobDeclarator } from "./core/job-declarator.ts";
import type { DeclaratorTip } from "./core/tip.ts";
import { DeclaratorNodes } from "./declarator-nodes.ts";
import { type DeclaratorMetrics, declaratorMetrics, watchDeclarator } from "./metrics.ts";
import { type DeclaratorSettings, toDeclaratorLimits } from "./settings.ts";
import { type DeclaratorStatus, type DeclaratorTotals, declaratorStatus } from "./status.ts";
import { TokenMinter } from "./token-minter.ts";

/** What a {@link JobDeclaratorServer} works with. */
export interface JobDeclaratorServerOptions {
  readonly settings: DeclaratorSettings;
  readonly network: Network;
  /** Output script that every declared coinbase has to pay: the pool's. */
  readonly payoutScript: Uint8Array;
  /** Signs the tokens; 32 bytes. */
  readonly authoritySecretKey: Uint8Array;
  readonly crypto: NoiseCrypto;
  readonly hashing: ShareHashing;
}

/** What of its process a job-declarator server uses. */
export type DeclaratorPorts = Pick<RoleContext, "log" | "metrics" | "now">;

type Connection = Sv2Connection<"job_declaration">;

const TICK_MS = 200;
/** The transactions of a block in one message, and a little for their lengths. */
const MAX_PAYLOAD = 4_100_000;

/**
 * A job-declarator server: the shell around {@link JobDeclarator}, its clients' connections and its nodes. One input at a
 * time, effects in order; what takes time comes back as another input.
 */
export class JobDeclaratorServer implements AsyncDisposable {
  /** How it is served. */
  readonly server: Sv2Server<"job_declaration">;
  /** Rejects when it cannot go on; never resolves. */
  readonly failure: Promise<never>;
  readonly #core: JobDeclarator;
  readonly #nodes: DeclaratorNodes | undefined;
  readonly #network: Network;
  readonly #ports: DeclaratorPorts;
  readonly #metrics: DeclaratorMetrics;
  readonly #totals: DeclaratorTotals = { tokens: 0, declared: 0, refusedByCode: new Map(), solvedBlocks: 0 };
  readonly #connections = new Map<ConnectionId, Connection>();
  readonly #frameTimeoutSecs: number;
  readonly #downstreams: Downstreams<"job_declaration">;
  readonly #moveTo: ReconnectTarget | undefined;
  readonly #going = new Set<Promise<void>>();
  readonly #ticking: NodeJS.Timeout;
  readonly #fail: (error: unknown) => void;
  #isStopped = false;

  private constructor(options: JobDeclaratorServerOptions, nodes: DeclaratorNodes | undefined, ports: DeclaratorPorts) {
    const { settings, network } = options;
    this.#nodes = nodes;
    this.#network = network;
    this.#frameTimeoutSecs = settings.limits.frameTimeoutSecs;
    this.#ports = ports;
    this.#downstreams = new Downstreams("job_declaration", ports.log);
    this.#moveTo = moveTarget(settings.moveClientsTo);
    this.server = jobDeclarationServer(settings.fullTemplateModeRequired);
    const minter = new TokenMinter({
      ...options,
      entropy: systemEntropy,
      lifetimeSecs: settings.tokenTimeoutSecs,
    });
    this.#core = new JobDeclarator({ ...options, minter, limits: toDeclaratorLimits(settings.limits) });
    this.#metrics = declaratorMetrics(ports.metrics);
    watchDeclarator(ports.metrics, { core: this.#core, nodes });
    let fail: (error: unknown) => void = () => {};
    this.failure = new Promise<never>((_resolve, reject) => {
      fail = reject;
    });
    this.failure.catch(() => {});
    this.#fail = fail;
    nodes?.start({ onTip: (tip) => this.#onTip(tip), onFailure: fail });
    this.#ticking = setInterval(() => this.#tick(), TICK_MS);
  }

  /** Opens the folder of blocks and begins to follow the nodes, when there are any. Errors of the file system as they are. */
  static async open(options: JobDeclaratorServerOptions, ports: DeclaratorPorts): Promise<JobDeclaratorServer> {
    const { bitcoinNode } = options.settings;
    const nodes =
      bitcoinNode === undefined ? undefined : await DeclaratorNodes.open(bitcoinNode, options.network, ports);
    return new JobDeclaratorServer(options, nodes, ports);
  }

  /** Serves one client until its connection ends. Rejects when it broke. */
  async serve(connection: Connection): Promise<void> {
    const { id, setup } = connection;
    this.#connections.set(id, connection);
    const leave = this.#downstreams.enter((frame) => this.#track(connection.writeFrames([frame]).catch(() => {})));
    try {
      this.#step({ type: "connected", connection: id, declaresTxData: (setup.flags & DECLARE_TX_DATA) !== 0 });
      for await (const { message } of connection.messages) {
        this.#downstreams.heard();
        this.#step({ type: "message", connection: id, message });
      }
    } finally {
      this.#connections.delete(id);
      leave();
      this.#step({ type: "disconnected", connection: id });
    }
  }

  /** What the next block builds on, from the pool around it. For a server without nodes. */
  setTip(tip: DeclaratorTip): void {
    this.#onTip(tip);
  }

  /**
   * The pool has found a block on a declared job: it is submitted to the nodes.
   *
   * @param found id of the job's token (16 bytes), the header (80 bytes) and the whole extranonce
   */
  solve(found: { readonly tokenId: Uint8Array; readonly header: Uint8Array; readonly extranonce: Uint8Array }): void {
    this.#step({ type: "solve", ...found });
  }

  /** Why declarations cannot be served; null while they can. Told to the operator. */
  get trouble(): string | null {
    if (this.#nodes !== undefined) return this.#nodes.trouble;
    return this.#core.tip === undefined ? "no tip yet: the pool has no template" : null;
  }

  /** Its part of a status document. */
  status(): DeclaratorStatus {
    return declaratorStatus({ core: this.#core, nodes: this.#nodes, network: this.#network }, this.#totals);
  }

  /**
   * When the server stops: asks the clients to connect elsewhere, if the config names an elsewhere, and serves them until they
   * have gone. For those that are left everything that came is answered: tokens, and declarations under way.
   */
  async takeLeave(): Promise<void> {
    const isBusy = (): boolean => this.#core.pending > 0 || this.#core.waiting > 0 || this.#going.size > 0;
    await this.#downstreams.takeLeave(this.#moveTo, isBusy);
  }

  /** Stops the clock and the nodes once blocks that were begun are on their way. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isStopped = true;
    clearInterval(this.#ticking);
    await this.#nodes?.[Symbol.asyncDispose]();
    await Promise.all(this.#going);
  }

  #tick(): void {
    this.#nodes?.tick();
    this.#cutStalled();
    this.#step({ type: "tick" });
  }

  /** Half a frame is memory that its sender decides on, and it may be one of megabytes. */
  #cutStalled(): void {
    const seconds = this.#frameTimeoutSecs;
    const latest = performance.now() - seconds * 1000;
    const detail = `has not sent the rest of a frame in ${seconds} s`;
    for (const [id, connection] of this.#connections) {
      const { awaitingFrameSince } = connection.info();
      if (awaitingFrameSince === null || awaitingFrameSince > latest) continue;
      this.#close({ type: "close", connection: id, reason: "frame-timeout", detail });
    }
  }

  #onTip(tip: DeclaratorTip): void {
    const before = this.#core.tip;
    if (before === undefined || hex(before.prevHash) !== hex(tip.prevHash)) {
      this.#ports.log.info({ height: tip.height - 1, tip: displayHash(tip.prevHash) }, "new tip");
    }
    this.#step({ type: "tip", tip });
  }

  #step(input: DeclaratorInput): void {
    if (this.#isStopped) return;
    for (const effect of this.#core.handle(input, this.#ports.now())) this.#perform(effect);
  }

  #perform(effect: DeclaratorEffect): void {
    switch (effect.type) {
      case "submit-block":
        return this.#submit(effect.block, effect.connection);
      case "send":
        return this.#track(this.#send(effect));
      case "close":
        return this.#close(effect);
      case "look-up":
        return this.#track(this.#lookUp(effect.declaration, effect.wtxids));
      case "check":
        return this.#track(this.#check(effect.declaration, effect.block));
      default:
        return this.#note(effect);
    }
  }

  /** What only the operator is told. */
  #note(
    effect: Exclude<DeclaratorEffect, { readonly type: "submit-block" | "send" | "close" | "look-up" | "check" }>,
  ): void {
    const { log } = this.#ports;
    const { type: _type, connection, ...others } = effect;
    const fields = { client: connection, ...others };
    switch (effect.type) {
      case "token-allocated":
        this.#totals.tokens += 1;
        this.#metrics.tokens.inc({ kind: effect.kind });
        return log.debug(fields, "token allocated");
      case "missing-asked":
        this.#metrics.missingTransactions.inc({}, effect.transactions);
        return log.info(fields, "missing transactions asked for");
      case "declared":
        this.#totals.declared += 1;
        this.#metrics.declarations.inc({ result: "declared" });
        this.#metrics.declarationSeconds.observe({}, effect.tookMs / 1000);
        return log.info({ ...fields, userIdentifier: peerText(effect.userIdentifier) }, "job declared");
      case "declaration-refused": {
        const { refusedByCode } = this.#totals;
        refusedByCode.set(effect.errorCode, (refusedByCode.get(effect.errorCode) ?? 0) + 1);
        this.#metrics.declarations.inc({ result: effect.errorCode });
        return log.warn(fields, "declaration refused");
      }
      case "solution-refused":
        this.#metrics.solutionsRefused.inc({ reason: effect.reason });
        return log.warn(fields, "solution refused");
      case "ignored":
        this.#metrics.messagesIgnored.inc({});
        return log.debug(fields, "message ignored");
      default:
        return effect satisfies never;
    }
  }

  #submit(block: DeclaredBlock, connection: ConnectionId | undefined): void {
    const { log } = this.#ports;
    this.#nodes?.submit(block);
    this.#totals.solvedBlocks += 1;
    this.#metrics.solvedBlocks.inc({ by: connection === undefined ? "pool" : "client" });
    const { height, hash, userIdentifier, bytes } = block;
    const fields = { client: connection ?? null, height, hash: displayHash(hash), bytes: bytes.length };
    log.info({ ...fields, userIdentifier: peerText(userIdentifier) }, "block solved on a declared job");
    if (this.#nodes !== undefined) return;
    const lastResort = { height, header: hex(block.header), coinbase: hex(block.coinbase) };
    log.warn(lastResort, "no node to submit the block to: it is left to the client; set bitcoin_node");
  }

  async #send({ connection, message }: DeclaratorEffect & { readonly type: "send" }): Promise<void> {
    // A connection that breaks is told to whoever reads from it; one that does not read is cut off by its writer.
    await this.#connections
      .get(connection)
      ?.write(message)
      .catch(() => {});
  }

  #close({ connection: id, reason, detail }: DeclaratorEffect & { readonly type: "close" }): void {
    const connection = this.#connections.get(id);
    if (connection === undefined) return;
    const { peer } = connection;
    this.#ports.log.warn({ client: id, peer: peerText(peer), reason, detail }, "client closed");
    this.#metrics.clientsClosed.inc({ reason });
    const message = `${peer}: the client ${detail}; it is disconnected`;
    connection.abort(new NetworkError("protocol-violation", { peer, message }));
  }

  async #lookUp(declaration: number, wtxids: readonly Uint8Array[]): Promise<void> {
    const transactions = (await this.#nodes?.lookUp(wtxids)) ?? [];
    this.#step({ type: "looked-up", declaration, transactions });
  }

  async #check(declaration: number, block: Uint8Array): Promise<void> {
    const verdict: CheckVerdict = (await this.#nodes?.check(block)) ?? { kind: "no-node" };
    // The node has another tip than it last told: it is asked now, not at the next poll.
    if (verdict.kind === "inconclusive") this.#nodes?.refreshTip();
    this.#step({ type: "checked", declaration, verdict });
  }

  #track(work: Promise<void>): void {
    const tracked = work.catch(this.#fail).finally(() => this.#going.delete(tracked));
    this.#going.add(tracked);
  }
}

/** What a job-declarator server is on the wire. */
function jobDeclarationServer(fullTemplateModeRequired: boolean): Sv2Server<"job_declaration"> {
  const declaresTxData = ({ flags }: SetupConnection): boolean => (flags & DECLARE_TX_DATA) !== 0;
  return {
    protocol: "job_declaration",
    supportedFlags: DECLARE_TX_DATA,
    refuse: (setup) =>
      fullTemplateModeRequired && !declaresTxData(setup)
        ? { errorCode: "missing-declare-tx-data-flag", flags: DECLARE_TX_DATA }
        : undefined,
    successFlags: () => 0,
    supportedExtensions: [],
    requiredExtensions: [],
    maxPayload: (setup) => (declaresTxData(setup) ? MAX_PAYLOAD : maxPayloadOf("AllocateMiningJobToken")),
  };
}
