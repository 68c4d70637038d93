import { displayHash } from "@adit/bitcoin";
import {
  type CoinbaseOutputConstraints,
  type DialectMessage,
  type SubmitSolution,
  type TemplateDistributionMessage,
} from "@adit/codec";
import { type BlockTemplate, type CoinbaseRoom, fitsInBlock } from "./chain/block-template.ts";
import { type ElsewhereCandidate, elsewhereCandidate, elsewhereRoom, solvedElsewhere } from "./chain/elsewhere.ts";
import type { EmbeddedChain } from "./chain/embedded-chain.ts";
import { checkSolution, type SolutionFault } from "./chain/solution.ts";
import type { SolvedBlock } from "./chain/solved-block.ts";
import type { Random } from "./chain/synthetic-transaction.ts";
import type { FormerTemplates } from "./chain/template-file.ts";
import { type SentTemplate, TemplateClient } from "./template-client.ts";
import { newTemplateMessage, setNewPrevHashMessage } from "./template-messages.ts";

/** Names a client's connection for as long as it lasts. */
export type ClientId = number;

/** How often what is sent, and what is kept. */
export interface TemplateServerOptions {
  /** Milliseconds between arrivals of new transactions. */
  readonly templateIntervalMs: number;
  /** Satoshis of fees that make a template on the same tip worth sending. */
  readonly feeThreshold: bigint;
  /** Shortest time between two templates on the same tip, in milliseconds. */
  readonly minIntervalMs: number;
  /** Mean time between blocks from elsewhere, in milliseconds; 0 for never. */
  readonly elsewhereIntervalMs: number;
  /** Templates of the current tip kept a client. */
  readonly maxTemplatesPerClient: number;
  /** Messages a client may send in a minute; each may cost a template or the check of a whole block. */
  readonly maxRequestsPerMinute: number;
  /** Longest wait for a client's first CoinbaseOutputConstraints, in milliseconds. */
  readonly constraintsTimeoutMs: number;
  readonly random: Random;
  /** What former processes sent on the present tip: solutions for it are taken as well. */
  readonly former: FormerTemplates;
}

/** What happens to the server. */
export type TemplateServerInput =
  | { readonly type: "connected"; readonly client: ClientId }
  | {
      readonly type: "message";
      readonly client: ClientId;
      readonly message: DialectMessage<"template_distribution">;
    }
  | { readonly type: "disconnected"; readonly client: ClientId }
  /** The block of a `store-block` effect is safe on disk. */
  | { readonly type: "block-stored"; readonly block: SolvedBlock }
  /** The nonce of a `mine-elsewhere` effect is found. */
  | { readonly type: "elsewhere-solved"; readonly candidate: ElsewhereCandidate; readonly nonce: number }
  /** Time passes; a few times a second. */
  | { readonly type: "tick" };

/** What the shell has to do, in order. */
export type TemplateServerEffect =
  | { readonly type: "send"; readonly client: ClientId; readonly messages: readonly TemplateDistributionMessage[] }
  | { readonly type: "close"; readonly client: ClientId; readonly reason: string }
  /** Write down what is about to be sent, so that the next process knows it. */
  | { readonly type: "keep-template"; readonly templateId: bigint; readonly sent: SentTemplate }
  /** What was written down so far is for a former tip. */
  | { readonly type: "forget-templates" }
  /** Write the block to disk; then, and only then, input `block-stored`. */
  | { readonly type: "store-block"; readonly block: SolvedBlock }
  | { readonly type: "block-connected"; readonly block: SolvedBlock }
  | {
      readonly type: "solution-refused";
      readonly client: ClientId;
      readonly templateId: bigint;
      readonly faults: readonly SolutionFault[];
    }
  /** Search a nonce for this in the background, in place of any earlier candidate. */
  | { readonly type: "mine-elsewhere"; readonly candidate: ElsewhereCandidate }
  | { readonly type: "stop-mining" };

/** The block counts since the start. */
export interface BlockCounts {
  /** Clients' blocks that went on the chain. */
  readonly accepted: number;
  /** Clients' solutions that did not, by what was wrong; a solution with two faults counts in both. */
  readonly rejectedByReason: ReadonlyMap<SolutionFault, number>;
  /** Clients' solutions that did not, each once. */
  readonly rejected: number;
  /** Blocks this process mined. */
  readonly elsewhere: number;
}

/** Templates of clients that left, kept so that a solution found meanwhile can still be brought by a new connection. */
const MAX_DEPARTED_TEMPLATES = 1_024;

/**
 * Template Distribution for all clients of one chain (spec chapter 7), without I/O.
 *
 * A client's first message is CoinbaseOutputConstraints; the answer is a future template and the SetNewPrevHash that
 * starts it. After that come better templates on the same tip, and on a new tip again the pair. Solutions are checked
 * against the template they name; TDP has no answer to them, so a refused one is an effect and nothing else.
 */
export class TemplateServer {
  readonly #chain: EmbeddedChain;
  readonly #options: TemplateServerOptions;
  readonly #clients = new Map<ClientId, TemplateClient>();
  readonly #departed = new Map<bigint, SentTemplate>();
  readonly #rejectedByReason = new Map<SolutionFault, number>();
  #accepted = 0;
  #rejected = 0;
  #elsewhere = 0;
  #lastId: bigint;
  /** The first id of this chain, and of the current tip: what lies between is stale, not unknown. */
  #firstId: bigint | undefined;
  #firstIdOfTip: bigint;
  #storing: SolvedBlock | undefined;
  #candidate: ElsewhereCandidate | undefined;
  #nextArrival: number;
  #nextElsewhere: number;

  /** `now` is Unix milliseconds, here and in {@link handle}. */
  constructor(chain: EmbeddedChain, options: TemplateServerOptions, now: number) {
    this.#chain = chain;
    this.#options = options;
    const { firstId, sent } = options.former;
    for (const [templateId, template] of sent) this.#departed.set(templateId, template);
    this.#forgetDeparted();
    this.#firstId = firstId;
    const ids = [...sent.keys()];
    this.#firstIdOfTip = ids[0] ?? BigInt(Math.floor(now));
    this.#lastId = ids.at(-1) ?? 0n;
    this.#nextArrival = now + options.templateIntervalMs;
    this.#nextElsewhere = this.#drawElsewhere(now);
  }

  /** Takes one input and returns what follows from it. Message bytes are copied where they are kept. */
  handle(input: TemplateServerInput, now: number): readonly TemplateServerEffect[] {
    switch (input.type) {
      case "connected":
        this.#clients.set(input.client, new TemplateClient(now, this.#options.maxTemplatesPerClient));
        return [];
      case "message":
        return this.#onMessage(input.client, input.message, now);
      case "disconnected":
        this.#onDisconnected(input.client);
        return [];
      case "block-stored":
        return this.#onBlockStored(input.block, now);
      case "elsewhere-solved":
        return this.#onElsewhereSolved(input, now);
      case "tick":
        return this.#onTick(now);
      default:
        return input satisfies never;
    }
  }

  /** Connected clients. */
  get clients(): ReadonlyMap<ClientId, TemplateClient> {
    return this.#clients;
  }

  /** Blocks since the start. */
  get blocks(): BlockCounts {
    return {
      accepted: this.#accepted,
      rejected: this.#rejected,
      rejectedByReason: this.#rejectedByReason,
      elsewhere: this.#elsewhere,
    };
  }

  #onMessage(
    id: ClientId,
    message: DialectMessage<"template_distribution">,
    now: number,
  ): readonly TemplateServerEffect[] {
    const client = this.#clients.get(id);
    if (client === undefined || client.isClosed) return [];
    const { maxRequestsPerMinute } = this.#options;
    if (client.request(now) > maxRequestsPerMinute) {
      client.isClosed = true;
      return [close(id, `more requests than ${maxRequestsPerMinute} a minute`)];
    }
    if (message.name === "CoinbaseOutputConstraints") return this.#onConstraints(id, message, now);
    if (client.room === undefined) {
      return [close(id, `${message.name} came before the first CoinbaseOutputConstraints (spec 7)`)];
    }
    switch (message.name) {
      case "RequestTransactionData":
        return [{ type: "send", client: id, messages: [this.#transactionData(client, message.templateId)] }];
      case "SubmitSolution":
        return this.#onSolution(id, message, now);
      default:
        return [close(id, `${message.name} is not a message of template clients`)];
    }
  }

  #onConstraints(id: ClientId, message: CoinbaseOutputConstraints, now: number): readonly TemplateServerEffect[] {
    const client = this.#clients.get(id);
    if (client === undefined) return [];
    const room = {
      maxAdditionalSize: message.coinbaseOutputMaxAdditionalSize,
      maxAdditionalSigops: message.coinbaseOutputMaxAdditionalSigops,
    };
    if (!fitsInBlock(room)) {
      return [close(id, `no block has room for ${room.maxAdditionalSize} bytes of coinbase outputs`)];
    }
    const first = client.room === undefined;
    client.room = room;
    if (first) return this.#startOnTip(id, client, { now, room });
    return this.#update(id, client, { now, template: this.#chain.template(room) });
  }

  /** A future template on the tip, and the SetNewPrevHash that starts it. */
  #startOnTip(
    id: ClientId,
    client: TemplateClient,
    { now, room }: { readonly now: number; readonly room: CoinbaseRoom },
  ): readonly TemplateServerEffect[] {
    const template = this.#chain.template(room);
    const templateId = this.#nextId(now);
    const headerTimestamp = this.#chain.startTime(now);
    client.startTip({ templateId, template, headerTimestamp, now });
    const messages = [
      newTemplateMessage(templateId, template, true),
      setNewPrevHashMessage(templateId, template, headerTimestamp),
    ];
    return [...keep(client, templateId), { type: "send", client: id, messages }];
  }

  /** Another template on the tip the client already has. */
  #update(
    id: ClientId,
    client: TemplateClient,
    { now, template }: { readonly now: number; readonly template: BlockTemplate },
  ): readonly TemplateServerEffect[] {
    const templateId = this.#nextId(now);
    client.addTemplate({ templateId, template, now });
    const messages = [newTemplateMessage(templateId, template, false)];
    return [...keep(client, templateId), { type: "send", client: id, messages }];
  }

  #transactionData(client: TemplateClient, templateId: bigint): TemplateDistributionMessage {
    const found = client.templates.get(templateId) ?? this.#departed.get(templateId);
    if (found === undefined) {
      const errorCode = this.#isStale(templateId) ? "stale-template-id" : "template-id-not-found";
      return { name: "RequestTransactionDataError", templateId, errorCode };
    }
    const transactionList = found.template.transactions.map(({ bytes }) => bytes);
    return { name: "RequestTransactionDataSuccess", templateId, excessData: new Uint8Array(0), transactionList };
  }

  #onSolution(id: ClientId, solution: SubmitSolution, now: number): readonly TemplateServerEffect[] {
    const { templateId } = solution;
    const found = this.#clients.get(id)?.templates.get(templateId) ?? this.#departed.get(templateId);
    if (found === undefined) {
      return [this.#refuse(id, templateId, [this.#isStale(templateId) ? "stale-template" : "unknown-template"])];
    }
    // A block for this tip is on its way to disk, or on the chain: this one comes second.
    const late = this.#storing !== undefined || found.template.height !== this.#chain.tip.height + 1;
    if (late) return [this.#refuse(id, templateId, ["stale-template"])];
    const outcome = checkSolution(solution, { ...found, now, solvedBy: "client" });
    if (outcome.kind === "refused") return [this.#refuse(id, templateId, outcome.faults)];
    return [this.#store(outcome.block)];
  }

  #refuse(client: ClientId, templateId: bigint, faults: readonly SolutionFault[]): TemplateServerEffect {
    this.#rejected += 1;
    for (const fault of faults) this.#rejectedByReason.set(fault, (this.#rejectedByReason.get(fault) ?? 0) + 1);
    return { type: "solution-refused", client, templateId, faults };
  }

  #store(block: SolvedBlock): TemplateServerEffect {
    this.#storing = block;
    return { type: "store-block", block };
  }

  #onBlockStored(block: SolvedBlock, now: number): readonly TemplateServerEffect[] {
    if (this.#storing !== block) throw new Error(`block ${displayHash(block.hash)} was not asked to be stored`);
    this.#storing = undefined;
    this.#chain.connect(block);
    if (block.solvedBy === "client") this.#accepted += 1;
    else this.#elsewhere += 1;
    this.#departed.clear();
    this.#firstIdOfTip = this.#lastId + 1n;
    this.#nextElsewhere = this.#drawElsewhere(now);
    const mining = this.#candidate !== undefined;
    this.#candidate = undefined;
    const announcements = [...this.#clients].flatMap(([id, client]) =>
      client.room === undefined ? [] : this.#startOnTip(id, client, { now, room: client.room }),
    );
    return [
      { type: "block-connected", block },
      { type: "forget-templates" },
      ...announcements,
      ...(mining ? [{ type: "stop-mining" } as const] : []),
    ];
  }

  #onElsewhereSolved(
    { candidate, nonce }: { readonly candidate: ElsewhereCandidate; readonly nonce: number },
    now: number,
  ): readonly TemplateServerEffect[] {
    if (candidate !== this.#candidate || this.#storing !== undefined) return [];
    const outcome = solvedElsewhere(candidate, { nonce, now });
    if (outcome.kind === "refused") throw new Error(`our own block is wrong: ${outcome.faults.join(", ")}`);
    return [this.#store(outcome.block)];
  }

  #onTick(now: number): readonly TemplateServerEffect[] {
    const late = [...this.#clients]
      .filter(([, client]) => client.room === undefined && now - client.since > this.#options.constraintsTimeoutMs)
      .map(([id]) => close(id, "no CoinbaseOutputConstraints came in time"));
    return [...late, ...this.#betterTemplates(now), ...this.#elsewhereWhenDue(now)];
  }

  #betterTemplates(now: number): readonly TemplateServerEffect[] {
    if (now >= this.#nextArrival) {
      this.#nextArrival = now + this.#options.templateIntervalMs;
      this.#chain.arrive();
      for (const client of this.#clients.values()) client.upToDate = false;
    }
    const effects: TemplateServerEffect[] = [];
    for (const [id, client] of this.#clients) {
      const due = !client.upToDate && now - client.lastSentAt >= this.#options.minIntervalMs;
      if (client.room === undefined || !due) continue;
      client.upToDate = true;
      const template = this.#chain.template(client.room);
      if (template.fees - client.lastFees < this.#options.feeThreshold) continue;
      effects.push(...this.#update(id, client, { now, template }));
    }
    return effects;
  }

  #elsewhereWhenDue(now: number): readonly TemplateServerEffect[] {
    if (now < this.#nextElsewhere || this.#candidate !== undefined || this.#storing !== undefined) return [];
    const extranonce = BigInt(Math.floor(this.#options.random() * 2 ** 52));
    const ntime = this.#chain.startTime(now);
    this.#candidate = elsewhereCandidate(this.#chain.template(elsewhereRoom), { ntime, extranonce });
    return [{ type: "mine-elsewhere", candidate: this.#candidate }];
  }

  /** Blocks are found at random times: the wait is drawn from an exponential distribution. */
  #drawElsewhere(now: number): number {
    const { elsewhereIntervalMs, random } = this.#options;
    return elsewhereIntervalMs === 0 ? Number.POSITIVE_INFINITY : now - Math.log(1 - random()) * elsewhereIntervalMs;
  }

  #onDisconnected(id: ClientId): void {
    for (const [templateId, kept] of this.#clients.get(id)?.templates ?? []) this.#departed.set(templateId, kept);
    this.#clients.delete(id);
    this.#forgetDeparted();
  }

  #forgetDeparted(): void {
    for (const oldest of this.#departed.keys()) {
      if (this.#departed.size <= MAX_DEPARTED_TEMPLATES) break;
      this.#departed.delete(oldest);
    }
  }

  /** Unix milliseconds, or one more than the last: strictly increasing, after a restart too. */
  #nextId(now: number): bigint {
    const time = BigInt(Math.floor(now));
    this.#lastId = time > this.#lastId ? time : this.#lastId + 1n;
    this.#firstId ??= this.#lastId;
    return this.#lastId;
  }

  #isStale(templateId: bigint): boolean {
    return this.#firstId !== undefined && templateId >= this.#firstId && templateId < this.#firstIdOfTip;
  }
}

function keep({ templates }: TemplateClient, templateId: bigint): readonly TemplateServerEffect[] {
  const sent = templates.get(templateId);
  return sent === undefined ? [] : [{ type: "keep-template", templateId, sent }];
}

function close(client: ClientId, reason: string): TemplateServerEffect {
  return { type: "close", client, reason };
}
