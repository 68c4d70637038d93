import type {
  CoinbaseOutputConstraints,
  DialectMessage,
  SubmitSolution,
  TemplateDistributionMessage,
} from "@adit/codec";
import { type BlockTemplate, type CoinbaseRoom, fitsInBlock } from "./template/block-template.ts";
import type { SolutionFault, SolutionJudge } from "./template/solution.ts";
import type { SolvedBlock } from "./template/solved-block.ts";
import type { FormerTemplates } from "./template/template-lines.ts";
import { type SentTemplate, TemplateClient } from "./template-client.ts";
import { newTemplateMessage, setNewPrevHashMessage } from "./template-messages.ts";
import type { SourceChange, TemplateSource } from "./template-source.ts";

/** Names a client's connection for as long as it lasts. */
export type ClientId = number;

/** How often what is sent, what is kept, and what makes a block. */
export interface TemplateServerOptions {
  /** Satoshis of fees that make a template on the same tip worth sending. */
  readonly feeThreshold: bigint;
  /** Shortest time between two templates on the same tip, in milliseconds. */
  readonly minIntervalMs: number;
  /** Templates of the current tip kept a client. */
  readonly maxTemplatesPerClient: number;
  /** Messages a client may send in a minute; each may cost a template or the check of a whole block. */
  readonly maxRequestsPerMinute: number;
  /** Longest wait for a client's first CoinbaseOutputConstraints, in milliseconds. */
  readonly constraintsTimeoutMs: number;
  /** What former processes sent: solutions for it are taken as well. */
  readonly former: FormerTemplates;
  readonly judge: SolutionJudge;
  /**
   * A second block on a tip, and one on a tip that is not the newest any more: `refused` by a chain that has nobody to
   * send it to, `solved` where nodes decide which of two blocks stays.
   */
  readonly lateBlocks: "refused" | "solved";
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
  | SourceChange
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
  /** A client's block, on its way before anything else; `faults` are what its judge let pass. */
  | {
      readonly type: "block-solved";
      readonly client: ClientId;
      readonly templateId: bigint;
      readonly block: SolvedBlock;
      readonly faults: readonly SolutionFault[];
    }
  | {
      readonly type: "solution-refused";
      readonly client: ClientId;
      readonly templateId: bigint;
      readonly faults: readonly SolutionFault[];
    };

/** Solutions refused since the start. */
export interface RefusedCounts {
  /** By what was wrong; a solution with two faults counts in both. */
  readonly byReason: ReadonlyMap<SolutionFault, number>;
  /** Each once. */
  readonly total: number;
}

/** Templates of clients that left or of former tips: a solution found meanwhile can still be brought. */
const MAX_DEPARTED_TEMPLATES = 1_024;

/** Sends whatever is better at all. */
const poorest = { feeThreshold: 1n, minIntervalMs: 0 };

/**
 * Template Distribution for all clients of one source of templates (spec chapter 7), without I/O.
 *
 * A client's first message is CoinbaseOutputConstraints; the answer, to each, is a future template and the SetNewPrevHash
 * that starts it, as soon as there is a tip. After that come better templates on the same tip, and on a new tip again the
 * pair. Solutions are judged against the template they name; TDP has no answer to them, so a refused one is an effect
 * and nothing else.
 */
export class TemplateServer {
  readonly #source: TemplateSource;
  readonly #options: TemplateServerOptions;
  readonly #clients = new Map<ClientId, TemplateClient>();
  readonly #departed = new Map<bigint, SentTemplate>();
  readonly #refusedByReason = new Map<SolutionFault, number>();
  #refused = 0;
  #lastId: bigint;
  /** The first id that was ever given out, and that of the current tip: what lies between is stale, not unknown. */
  #firstId: bigint | undefined;
  #firstIdOfTip: bigint;
  /** The tip on which a block was solved, where there may be only one. */
  #solvedOn: Uint8Array | undefined;

  /** `now` is Unix milliseconds, here and in {@link handle}. */
  constructor(source: TemplateSource, options: TemplateServerOptions, now: number) {
    this.#source = source;
    this.#options = options;
    const { firstId, sent } = options.former;
    const useful = [...sent].filter(([, kept]) => options.lateBlocks === "solved" || !this.#isLate(kept));
    for (const [templateId, kept] of useful) this.#departed.set(templateId, kept);
    this.#forgetDeparted();
    this.#firstId = firstId;
    this.#firstIdOfTip = useful[0]?.[0] ?? BigInt(Math.floor(now));
    this.#lastId = [...sent.keys()].at(-1) ?? 0n;
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
      case "tip":
        return this.#onTip(now);
      case "better-templates":
        for (const client of this.#clients.values()) client.upToDate = false;
        return input.atOnce ? this.#betterTemplates(now, poorest) : [];
      case "tick":
        return [...this.#lateClients(now), ...this.#betterTemplates(now, this.#options)];
      default:
        return input satisfies never;
    }
  }

  /** Connected clients. */
  get clients(): ReadonlyMap<ClientId, TemplateClient> {
    return this.#clients;
  }

  /** Solutions refused since the start. */
  get refused(): RefusedCounts {
    return { byReason: this.#refusedByReason, total: this.#refused };
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
    const isToldAgain = client.lastTemplateId !== undefined;
    client.room = room;
    // Whoever has other constraints may have begun anew: jd_client_sv2 0.6.0 does so after a fallback, and awaits the tip.
    return this.#source.tip === undefined ? [] : this.#startOnTip(id, client, { now, room, isToldAgain });
  }

  /** A future template on the tip, and the SetNewPrevHash that starts it. */
  #startOnTip(
    id: ClientId,
    client: TemplateClient,
    { now, room, isToldAgain }: { readonly now: number; readonly room: CoinbaseRoom; readonly isToldAgain: boolean },
  ): readonly TemplateServerEffect[] {
    const template = this.#source.template(room);
    const templateId = this.#nextId(now);
    const headerTimestamp = this.#source.startTime(now);
    client.startTip({ templateId, template, headerTimestamp, now, isToldAgain });
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
    if (found === undefined || this.#isLate(found)) {
      const isStale = found !== undefined || this.#isStale(templateId);
      const errorCode = isStale ? "stale-template-id" : "template-id-not-found";
      return { name: "RequestTransactionDataError", templateId, errorCode };
    }
    const transactionList = found.template.transactions.map(({ bytes }) => bytes);
    return { name: "RequestTransactionDataSuccess", templateId, excessData: new Uint8Array(0), transactionList };
  }

  #onSolution(id: ClientId, solution: SubmitSolution, now: number): readonly TemplateServerEffect[] {
    const { templateId } = solution;
    const { judge, lateBlocks } = this.#options;
    const found = this.#clients.get(id)?.templates.get(templateId) ?? this.#departed.get(templateId);
    if (found === undefined) {
      return [this.#refuse(id, templateId, [this.#isStale(templateId) ? "stale-template" : "unknown-template"])];
    }
    const { template } = found;
    const isLate = this.#isLate(found) || isSame(template.prevHash, this.#solvedOn);
    if (isLate && lateBlocks === "refused") return [this.#refuse(id, templateId, ["stale-template"])];
    const outcome = judge(solution, { ...found, now, solvedBy: "client" });
    if (outcome.kind === "refused") return [this.#refuse(id, templateId, outcome.faults)];
    this.#solvedOn = template.prevHash;
    const { block, faults } = outcome;
    return [{ type: "block-solved", client: id, templateId, block, faults }];
  }

  #refuse(client: ClientId, templateId: bigint, faults: readonly SolutionFault[]): TemplateServerEffect {
    this.#refused += 1;
    for (const fault of faults) this.#refusedByReason.set(fault, (this.#refusedByReason.get(fault) ?? 0) + 1);
    return { type: "solution-refused", client, templateId, faults };
  }

  #onTip(now: number): readonly TemplateServerEffect[] {
    this.#firstIdOfTip = this.#lastId + 1n;
    this.#leaveTip();
    const announcements = [...this.#clients].flatMap(([id, client]) =>
      client.room === undefined ? [] : this.#startOnTip(id, client, { now, room: client.room, isToldAgain: false }),
    );
    return [{ type: "forget-templates" }, ...announcements];
  }

  /** What was sent is of no use any more, but where a late block may still be the one that stays. */
  #leaveTip(): void {
    if (this.#options.lateBlocks === "refused") this.#departed.clear();
    else this.#depart([...this.#clients.values()].flatMap(({ templates }) => [...templates]));
  }

  #lateClients(now: number): readonly TemplateServerEffect[] {
    return [...this.#clients]
      .filter(([, client]) => client.room === undefined && now - client.since > this.#options.constraintsTimeoutMs)
      .map(([id]) => close(id, "no CoinbaseOutputConstraints came in time"));
  }

  #betterTemplates(
    now: number,
    gate: Pick<TemplateServerOptions, "feeThreshold" | "minIntervalMs">,
  ): readonly TemplateServerEffect[] {
    const effects: TemplateServerEffect[] = [];
    for (const [id, client] of this.#clients) {
      const due = !client.upToDate && now - client.lastSentAt >= gate.minIntervalMs;
      if (client.lastTemplateId === undefined || client.room === undefined || !due) continue;
      client.upToDate = true;
      const template = this.#source.template(client.room);
      if (template.fees - client.lastFees < gate.feeThreshold) continue;
      effects.push(...this.#update(id, client, { now, template }));
    }
    return effects;
  }

  #onDisconnected(id: ClientId): void {
    const client = this.#clients.get(id);
    if (client === undefined) return;
    this.#depart([...client.templates]);
    this.#clients.delete(id);
  }

  /** Ids rise with time, so that of too many those go that were sent first, whoever they were sent to. */
  #depart(templates: readonly (readonly [bigint, SentTemplate])[]): void {
    for (const [templateId, kept] of templates.toSorted(([one], [other]) => Number(one - other))) {
      this.#departed.set(templateId, kept);
    }
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

  #isLate({ template }: SentTemplate): boolean {
    return !isSame(template.prevHash, this.#source.tip?.hash);
  }

  #isStale(templateId: bigint): boolean {
    return this.#firstId !== undefined && templateId >= this.#firstId && templateId < this.#firstIdOfTip;
  }
}

function isSame(one: Uint8Array, other: Uint8Array | undefined): boolean {
  return one.every((byte, at) => byte === other?.[at]);
}

function keep({ templates }: TemplateClient, templateId: bigint): readonly TemplateServerEffect[] {
  const sent = templates.get(templateId);
  return sent === undefined ? [] : [{ type: "keep-template", templateId, sent }];
}

function close(client: ClientId, reason: string): TemplateServerEffect {
  return { type: "close", client, reason };
}
