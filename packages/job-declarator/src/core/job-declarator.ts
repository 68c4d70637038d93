import { compactSize, encodeOutputs, hex } from "@adit/bitcoin";
import type { DialectMessage } from "@adit/codec";
import { TokenBucket } from "@adit/token-bucket";
import { DeclarationDesk, type DeclarationDeskOptions } from "./declaration-desk.ts";
import { DeclaredJobs } from "./declared-jobs.ts";
import type { CloseReason, ConnectionId, DeclaratorEffect, DeclaratorInput } from "./effects.ts";
import { poolsBlock, SolutionDesk } from "./solution-desk.ts";
import type { DeclaratorTip } from "./tip.ts";
import { TokenDesk, type TokenRequest } from "./token-desk.ts";

/** What a {@link JobDeclarator} works with. */
export type JobDeclaratorOptions = Omit<DeclarationDeskOptions, "jobs">;

/** A connected client, for the operator. */
export interface ClientView {
  readonly connection: ConnectionId;
  readonly declaresTxData: boolean;
  /** Tokens it may declare with. */
  readonly tokens: number;
  /** Declarations that are not answered. */
  readonly pending: number;
  /** Declared jobs that solutions are tried with. */
  readonly jobs: number;
}

interface Client {
  readonly connection: ConnectionId;
  readonly declaresTxData: boolean;
  readonly tokens: TokenDesk;
  readonly solutions: SolutionDesk;
  readonly messages: TokenBucket;
  readonly transactions: TokenBucket;
  /** Since when it has asked for nothing, in Unix milliseconds; undefined once it has. */
  silentSince: number | undefined;
}

type Effects = readonly DeclaratorEffect[];

/** Messages that only a client with DECLARE_TX_DATA sends (spec 6.4). */
const fullTemplateOnly: ReadonlySet<string> = new Set(["DeclareMiningJob", "ProvideMissingTransactionsSuccess"]);
/** Blocks remembered so that each is submitted once, whoever tells of it: the client, and the pool around. */
const MAX_SUBMITTED = 64;

/**
 * The job-declarator server between two messages: tokens, declarations and declared jobs (spec chapter 6). Pure; `now` is
 * in Unix milliseconds.
 */
export class JobDeclarator {
  readonly #options: JobDeclaratorOptions;
  readonly #jobs: DeclaredJobs;
  readonly #desk: DeclarationDesk;
  readonly #clients = new Map<ConnectionId, Client>();
  /** Hashes of the blocks submitted last, newest first. */
  #submitted: readonly string[] = [];
  /** What every client is told to pay: the pool payout output, with nothing in it yet. */
  readonly #coinbaseTxOutputs: Uint8Array;

  constructor(options: JobDeclaratorOptions) {
    this.#options = options;
    this.#jobs = new DeclaredJobs(options.limits);
    this.#desk = new DeclarationDesk({ ...options, jobs: this.#jobs });
    this.#coinbaseTxOutputs = countedOutput(options.payoutScript);
  }

  /** What the next block builds on; undefined before it is known. */
  get tip(): DeclaratorTip | undefined {
    return this.#desk.tip;
  }

  /** Tokens, of all connections, that no declaration has been answered with. */
  get tokens(): number {
    return [...this.#clients.values()].reduce((sum, { tokens }) => sum + tokens.held, 0);
  }

  /** Requests for tokens, of all connections, that wait for their turn. */
  get waiting(): number {
    return [...this.#clients.values()].reduce((sum, { tokens }) => sum + tokens.waiting, 0);
  }

  /** Declarations that are not answered. */
  get pending(): number {
    return this.#desk.size;
  }

  /** Declared jobs that solutions are tried with, and what they take. */
  get jobs(): { readonly count: number; readonly transactions: number; readonly bytes: number } {
    return { count: this.#jobs.size, transactions: this.#jobs.transactions, bytes: this.#jobs.bytes };
  }

  /** The connected clients, oldest first. */
  clients(): readonly ClientView[] {
    return [...this.#clients.values()].map(({ connection, declaresTxData, tokens }) => ({
      connection,
      declaresTxData,
      tokens: tokens.held,
      pending: this.#desk.pendingOf(connection),
      jobs: this.#jobs.of(connection).length,
    }));
  }

  /** Takes one input and returns what follows from it. */
  handle(input: DeclaratorInput, now: number): Effects {
    const effects = this.#take(input, now);
    const blocks = this.#earlySolutions(effects);
    return [...[...blocks, ...effects].filter((effect) => this.#isNew(effect)), ...this.#grant(now)];
  }

  #isNew(effect: DeclaratorEffect): boolean {
    if (effect.type !== "submit-block") return true;
    const hash = hex(effect.block.hash);
    if (this.#submitted.includes(hash)) return false;
    this.#submitted = [hash, ...this.#submitted].slice(0, MAX_SUBMITTED);
    return true;
  }

  #take(input: DeclaratorInput, now: number): Effects {
    switch (input.type) {
      case "connected":
        this.#connect(input, now);
        return [];
      case "message":
        return this.#onMessage(input.connection, input.message, now);
      case "disconnected":
        this.#disconnect(input.connection);
        return [];
      case "tip":
        this.#jobs.leaveTip(input.tip.height);
        return this.#desk.onTip(input.tip, now);
      case "looked-up":
        return this.#desk.lookedUp(input.declaration, input.transactions, now);
      case "checked":
        return this.#desk.checked(input.declaration, input.verdict, now);
      case "solve":
        return poolsBlock(input, this.#jobs, this.#options.hashing);
      case "tick":
        return this.#tick(now);
      default:
        return input satisfies never;
    }
  }

  #tick(now: number): Effects {
    const { firstRequestMs } = this.#options.limits;
    const clients = [...this.#clients.values()];
    for (const { tokens } of clients) tokens.expire(now);
    const idle = clients.filter(({ silentSince = now }) => now - silentSince >= firstRequestMs);
    const detail = `sends no request for a token in ${firstRequestMs / 1000} s`;
    return [...idle.flatMap((client) => this.#close(client, "idle", detail)), ...this.#desk.tick(now)];
  }

  #connect(
    { connection, declaresTxData }: { readonly connection: ConnectionId; readonly declaresTxData: boolean },
    now: number,
  ): void {
    const { limits, hashing } = this.#options;
    const perMinute = (most: number): TokenBucket => new TokenBucket({ perSecond: most / 60, burst: most }, now);
    this.#clients.set(connection, {
      connection,
      declaresTxData,
      tokens: new TokenDesk(limits, now),
      solutions: new SolutionDesk(connection, { jobs: this.#jobs, hashing, limits }, now),
      messages: perMinute(limits.maxMessagesPerMinute),
      transactions: perMinute(limits.maxTransactionsPerMinute),
      silentSince: now,
    });
  }

  /** Its declared jobs stay: the pool may find a block on one. */
  #disconnect(connection: ConnectionId): void {
    this.#clients.delete(connection);
    this.#desk.drop(connection);
  }

  #onMessage(connection: ConnectionId, message: DialectMessage<"job_declaration">, now: number): Effects {
    const client = this.#clients.get(connection);
    if (client === undefined) return [];
    const isSolution = message.name === "PushSolution" && client.declaresTxData;
    // A block is looked at even from a client that has said too much.
    if (!isSolution && !client.messages.take(now)) {
      const { maxMessagesPerMinute } = this.#options.limits;
      return this.#close(client, "message-flood", `sends more than ${maxMessagesPerMinute} messages a minute`);
    }
    if (!client.declaresTxData && fullTemplateOnly.has(message.name)) {
      return this.#close(client, "not-full-template", `sends ${message.name} without DECLARE_TX_DATA`);
    }
    switch (message.name) {
      case "AllocateMiningJobToken":
        return this.#onTokenRequest(client, message);
      case "DeclareMiningJob":
        return this.#desk.begin(client, message, now);
      case "ProvideMissingTransactionsSuccess":
        return this.#desk.provided(client, message, now);
      case "PushSolution":
        // The reference implementation's client pushes its blocks in coinbase-only mode, too, where nobody here can build them.
        if (!isSolution) return [{ type: "ignored", connection, message: message.name }];
        return client.solutions.push(message, this.#desk.pendingOf(connection) > 0, now);
      default:
        return [{ type: "ignored", connection, message: message.name }];
    }
  }

  #onTokenRequest(client: Client, { requestId, userIdentifier }: TokenRequest): Effects {
    client.silentSince = undefined;
    if (client.tokens.ask({ requestId, userIdentifier })) return [];
    const { maxHeldTokenRequests } = this.#options.limits;
    return this.#close(client, "token-flood", `has more than ${maxHeldTokenRequests} requests for tokens waiting`);
  }

  #close({ connection }: Client, reason: CloseReason, detail: string): Effects {
    this.#disconnect(connection);
    return [{ type: "close", connection, reason, detail }];
  }

  /** Blocks of solutions that came before the answer to their declaration. */
  #earlySolutions(effects: Effects): Effects {
    return effects.flatMap((effect) => {
      if (effect.type !== "declared" && effect.type !== "declaration-refused") return [];
      const { connection } = effect;
      const isDeclaring = this.#desk.pendingOf(connection) > 0;
      return this.#clients.get(connection)?.solutions.answered(isDeclaring) ?? [];
    });
  }

  /** Serves the requests for tokens whose turn it is. */
  #grant(now: number): Effects {
    const effects: DeclaratorEffect[] = [];
    for (const client of this.#clients.values()) {
      while (client.tokens.waiting > 0) {
        const isRoom = !client.declaresTxData || this.tokens < this.#options.limits.maxTokens;
        const request = client.tokens.next(now, isRoom);
        if (request === undefined) break;
        effects.push(...this.#allocate(client, request, now));
      }
    }
    return effects;
  }

  /** A token that goes straight to the pool is not kept: its signature says all there is to know. */
  #allocate(
    { connection, declaresTxData, tokens }: Client,
    { requestId, userIdentifier }: TokenRequest,
    now: number,
  ): Effects {
    const kind = declaresTxData ? "full-template" : "coinbase-only";
    const token = this.#options.minter.allocate(kind, userIdentifier, now);
    if (declaresTxData) tokens.add(token, userIdentifier);
    const message = {
      name: "AllocateMiningJobTokenSuccess",
      requestId,
      miningJobToken: token.bytes,
      coinbaseTxOutputs: this.#coinbaseTxOutputs,
    } as const;
    return [
      { type: "send", connection, message },
      { type: "token-allocated", connection, kind },
    ];
  }
}

function countedOutput(script: Uint8Array): Uint8Array {
  const count = compactSize(1);
  const output = encodeOutputs([{ value: 0n, script }]);
  const bytes = new Uint8Array(count.length + output.length);
  bytes.set(count);
  bytes.set(output, count.length);
  return bytes;
}
