import {
  checkBlock,
  decodeBlock,
  hex,
  MAX_MONEY,
  meetsTarget,
  targetFromBits,
  targetToBytes,
  wtxid,
} from "@adit/bitcoin";
import type { PushSolution } from "@adit/codec";
import { sequence } from "../arbitraries.ts";
import {
  type DeclaratorEffect,
  Declaring,
  declaration,
  hashOf,
  PAYOUT_SCRIPT,
  solution,
  tipBelow,
  transaction,
} from "../inside.ts";
import { declarationMessage } from "../mining-messages.ts";
import { rule, step, type Target } from "../target.ts";
import { type Craft, type DeclaratorStep, declaratorStep } from "./job-declarator-steps.ts";

type Effects = readonly DeclaratorEffect[];
type Sample = Parameters<typeof declaration>[0];
type Asked<T extends DeclaratorEffect["type"]> = Extract<DeclaratorEffect, { readonly type: T }>;

/** Clients, nodes, blocks and time in any order, held against a model of what a token may bring. */
export const jobDeclarator: Target<readonly DeclaratorStep[]> = {
  inputs: sequence(declaratorStep, 120),
  run(steps) {
    const play = new Play();
    for (const one of steps) play.take(one);
    play.finish();
  },
};

const LIMITS = {
  maxTokensPerConnection: 3,
  maxTokens: 7,
  tokensPerSecond: 20,
  tokenBurst: 6,
  maxHeldTokenRequests: 3,
  maxPendingPerConnection: 2,
  maxPending: 3,
  maxJobsPerConnection: 2,
  maxJobs: 4,
  maxMessagesPerMinute: 200,
};
const PATIENCE_MS = 200_000;
/** The last two spend the same coin. */
const transactions = [1, 2, 3].map((seed) => transaction(seed));
const doubleSpend = transaction(4, { spends: 1 });
const other = { value: 5_000_000_000n, script: Uint8Array.of(0x51) };

/** A token that was given out, as the model knows it. */
interface Given {
  readonly connection: number;
  readonly bytes: Uint8Array;
  readonly expiresAt: number;
  isSpent: boolean;
}

/** A declaration that was made, and what is known of its fate. */
interface Made {
  readonly connection: number;
  readonly requestId: number;
  readonly sample: Sample;
  readonly given: Given | undefined;
}

class Play {
  readonly #server = new Declaring(LIMITS);
  #connections: number[] = [];
  #lastConnection = 0;
  readonly #given: Given[] = [];
  /** Declarations that wait for their answer. */
  #open: Made[] = [];
  readonly #declared: { readonly made: Made; readonly tokenId: Uint8Array }[] = [];
  readonly #lookUps: Asked<"look-up">[] = [];
  readonly #checks: Asked<"check">[] = [];
  /** Transactions that were asked for. */
  readonly #asked: {
    readonly connection: number;
    readonly requestId: number;
    readonly positions: readonly number[];
  }[] = [];
  readonly #blocks = new Set<string>();
  #tip = tipBelow(102);

  constructor() {
    for (const declaresTxData of [true, true, false]) this.take({ do: "connect", declaresTxData });
    for (const who of [0, 1]) this.take({ do: "ask", who });
  }

  take(one: DeclaratorStep): void {
    this.#heed(this.#perform(one));
    const { tokens, pending, waiting, jobs } = this.#server.core;
    rule(
      tokens <= LIMITS.maxTokens && pending <= LIMITS.maxPending && jobs.count <= LIMITS.maxJobs,
      "a limit is exceeded",
    );
    rule(waiting <= this.#connections.length * LIMITS.maxHeldTokenRequests, "too many requests wait");
  }

  /** In the end every declaration of who stayed is answered. */
  finish(): void {
    this.#heed(step(() => this.#server.pass(PATIENCE_MS)));
    rule(this.#server.core.pending === 0, "a declaration is never answered");
    rule(this.#open.length === 0, "an answer is missing");
  }

  #perform(one: DeclaratorStep): Effects {
    const server = this.#server;
    switch (one.do) {
      case "connect":
        return this.#connect(one.declaresTxData);
      case "leave":
        return this.#leave(one.who);
      case "ask":
        return this.#from(one.who, (connection) => step(() => server.ask(connection, "farm")));
      case "say":
        return this.#from(one.who, (connection) => this.#say(connection, one));
      case "declare":
        return this.#from(one.who, (connection) => this.#declare(connection, one));
      case "look-up":
        return this.#lookUp(one);
      case "provide":
        return this.#provide(one);
      case "check":
        return this.#check(one);
      case "push":
        return this.#from(one.who, (connection) => this.#push(connection, one));
      case "solve":
        return this.#solve(one);
      case "tip":
        this.#tip = tipBelow(this.#tip.height + (one.ahead === 2 ? 1 : 0), { prevHash: hashOf(500 + one.other) });
        return step(() => server.do({ type: "tip", tip: this.#tip }));
      case "pass":
        return step(() => server.pass(one.ms));
      default:
        return one satisfies never;
    }
  }

  #connect(declaresTxData: boolean): Effects {
    if (this.#connections.length >= 5) return [];
    this.#lastConnection += 1;
    this.#connections.push(this.#lastConnection);
    return this.#server.do({ type: "connected", connection: this.#lastConnection, declaresTxData });
  }

  #leave(who: number): Effects {
    return this.#from(who, (connection) => {
      this.#forget(connection);
      return step(() => this.#server.do({ type: "disconnected", connection }));
    });
  }

  #forget(connection: number): void {
    this.#connections = this.#connections.filter((one) => one !== connection);
    this.#open = this.#open.filter((made) => made.connection !== connection);
    for (const given of this.#given) if (given.connection === connection) given.isSpent = true;
  }

  #from(who: number, act: (connection: number) => Effects): Effects {
    const connection = this.#connections[who % Math.max(1, this.#connections.length)];
    return connection === undefined ? [] : act(connection);
  }

  /** Anything at all; a declaration among it has a token that is none. */
  #say(connection: number, { message: seed }: Extract<DeclaratorStep, { do: "say" }>): Effects {
    const message = declarationMessage(seed);
    if (message.name === "DeclareMiningJob") {
      const { requestId } = message;
      this.#open.push({ connection, requestId, sample: {}, given: undefined });
    }
    return step(() => this.#server.message(connection, message));
  }

  #declare(connection: number, one: Extract<DeclaratorStep, { do: "declare" }>): Effects {
    const { requestId } = one;
    const sample = crafted(one, this.#tip.height);
    const { token, given } = this.#tokenFor(connection, one);
    this.#open.push({ connection, requestId, sample, given });
    const message = declaration({ ...sample, requestId, token });
    return step(() => this.#server.message(connection, message));
  }

  /** A token, and what the model knows of it if it is one that this client may declare with now. */
  #tokenFor(connection: number, { token: choice, pick }: Extract<DeclaratorStep, { do: "declare" }>) {
    const isOwn = ({ connection: owner }: Given): boolean => (owner === connection) === (choice !== "another's");
    const all = this.#given.filter((given) => isOwn(given) && (choice !== "new" || !given.isSpent));
    const chosen = choice === "new" ? all[0] : all[pick % Math.max(1, all.length)];
    if (chosen === undefined || choice === "none") return { token: new Uint8Array(0), given: undefined };
    if (choice === "damaged") {
      const token = chosen.bytes.map((byte, at) => (at === pick ? byte ^ 1 : byte));
      return { token, given: undefined };
    }
    const isInUse = this.#open.some(({ given }) => given === chosen);
    const isGood = choice !== "another's" && !chosen.isSpent && !isInUse && this.#server.now < chosen.expiresAt;
    return { token: chosen.bytes, given: isGood ? chosen : undefined };
  }

  #lookUp({ pick, known }: Extract<DeclaratorStep, { do: "look-up" }>): Effects {
    const [asked] = this.#lookUps.splice(pick % Math.max(1, this.#lookUps.length), 1);
    if (asked === undefined) return [];
    const mempool = [...transactions, doubleSpend].filter((_, at) => (known >> at) & 1);
    const found = asked.wtxids.map((hash) => mempool.find((one) => hex(one.wtxid) === hex(hash)));
    return step(() => this.#server.do({ type: "looked-up", declaration: asked.declaration, transactions: found }));
  }

  #provide({ pick, how }: Extract<DeclaratorStep, { do: "provide" }>): Effects {
    const at = pick % Math.max(1, this.#asked.length);
    const asked = how === "again" ? this.#asked[at] : this.#asked.splice(at, 1)[0];
    const made = this.#open.find((one) => one.connection === asked?.connection && one.requestId === asked.requestId);
    if (asked === undefined || made === undefined) return [];
    const right = asked.positions.map((position) => made.sample.transactions?.[position]?.bytes ?? new Uint8Array(0));
    const { connection, requestId } = asked;
    const transactionList = altered(right, how);
    return step(() =>
      this.#server.message(connection, { name: "ProvideMissingTransactionsSuccess", requestId, transactionList }),
    );
  }

  #check({ pick, answer }: Extract<DeclaratorStep, { do: "check" }>): Effects {
    const [asked] = this.#checks.splice(pick % Math.max(1, this.#checks.length), 1);
    if (asked === undefined) return [];
    const broken = faultOf(asked.block, this.#tip);
    const verdict =
      answer === "oracle"
        ? broken === undefined
          ? ({ kind: "valid" } as const)
          : ({ kind: "invalid", reason: broken } as const)
        : answer === "failed"
          ? ({ kind: "failed", reason: "gone" } as const)
          : ({ kind: answer } as const);
    const effects = step(() => this.#server.do({ type: "checked", declaration: asked.declaration, verdict }));
    const isDeclared = effects.some(({ type }) => type === "declared");
    if (isDeclared) rule(broken === undefined, `a job was declared whose block breaks a rule: ${broken}`);
    return effects;
  }

  #push(connection: number, { pick, hasWork, old }: Extract<DeclaratorStep, { do: "push" }>): Effects {
    const { made } = this.#declared[pick % Math.max(1, this.#declared.length)] ?? {};
    if (made === undefined) return [];
    const tip = old ? tipBelow(102) : this.#tip;
    const pushed: PushSolution = solution(made.sample, { hasWork, tip, seed: pick });
    return step(() => this.#server.message(connection, pushed));
  }

  #solve({ pick, hasWork }: Extract<DeclaratorStep, { do: "solve" }>): Effects {
    const found = this.#declared[pick % Math.max(1, this.#declared.length)];
    if (found === undefined) return [];
    const { extranonce } = solution(found.made.sample, { hasWork, tip: this.#tip, seed: pick });
    const header = new Uint8Array(80).fill(pick);
    return step(() => this.#server.do({ type: "solve", tokenId: found.tokenId, header, extranonce }));
  }

  #heed(effects: Effects): void {
    for (const effect of effects) {
      switch (effect.type) {
        case "look-up":
          this.#lookUps.push(effect);
          break;
        case "check":
          this.#checks.push(effect);
          checkProposal(effect.block);
          break;
        case "send":
          this.#hear(effect);
          break;
        case "close":
          this.#forget(effect.connection);
          break;
        case "submit-block":
          this.#checkBlock(effect);
          break;
        case "declaration-refused":
          this.#answered(effect);
          break;
        default:
          break;
      }
    }
  }

  #hear({ connection, message }: Asked<"send">): void {
    rule(this.#connections.includes(connection), "somebody is told something who has left");
    if (message.name === "AllocateMiningJobTokenSuccess") {
      const { miningJobToken: bytes } = message;
      rule(!this.#given.some((given) => hex(given.bytes) === hex(bytes)), "a token was given twice");
      const expiresAt = (new DataView(bytes.buffer, bytes.byteOffset).getUint32(18, true) + 1) * 1000;
      this.#given.push({ connection, bytes, expiresAt, isSpent: false });
    } else if (message.name === "DeclareMiningJobSuccess") {
      const { requestId, newMiningJobToken } = message;
      const made = this.#answered({ connection, requestId });
      rule(made.given !== undefined, "a job was declared under a token that was not good for it");
      this.#declared.push({ made, tokenId: newMiningJobToken.slice(2, 18) });
    } else if (message.name === "ProvideMissingTransactions") {
      const { requestId, unknownTxPositionList: positions } = message;
      rule(positions.length > 0 && new Set(positions).size === positions.length, "a transaction is asked for twice");
      this.#asked.push({ connection, requestId, positions });
    }
  }

  /** A declaration has its answer: of several under one number the one that was made last, which is refused for that. */
  #answered({ connection, requestId }: { readonly connection: number; readonly requestId: number }): Made {
    const at = this.#open.findLastIndex((made) => made.connection === connection && made.requestId === requestId);
    const [made] = at === -1 ? [] : this.#open.splice(at, 1);
    rule(made !== undefined, "a declaration was answered that nobody has made, or twice");
    if (made.given !== undefined) made.given.isSpent = true;
    return made;
  }

  #checkBlock({ block, connection }: Asked<"submit-block">): void {
    const { transactions: all } = decodeBlock(block.bytes);
    rule(all.length > 0, "a block without a coinbase");
    const view = new DataView(block.header.buffer, block.header.byteOffset);
    const target = targetToBytes(targetFromBits(view.getUint32(72, true)));
    rule(meetsTarget(block.hash, target), "a block was submitted without its work");
    rule(!this.#blocks.has(hex(block.hash)), "a block was submitted twice");
    this.#blocks.add(hex(block.hash));
    if (connection !== undefined) rule(this.#connections.includes(connection), "a block of somebody who has left");
  }
}

/** What may be taken to a node: a coinbase that pays the pool and commits to what the block has. */
function checkProposal(block: Uint8Array): void {
  const { transactions: all } = decodeBlock(block);
  const [coinbase] = all;
  const paid = coinbase?.outputs.filter(({ script }) => hex(script) === hex(PAYOUT_SCRIPT)) ?? [];
  rule(
    paid.some(({ value }) => value > 0n),
    "a job was taken to a node that does not pay the pool",
  );
  const hashes = all.slice(1).map((one) => hex(wtxid(one)));
  rule(new Set(hashes).size === hashes.length, "a job was taken to a node with a transaction twice");
}

/** What an oracle of its own says of the block: undefined when nothing is wrong with it but that it has no work. */
function faultOf(block: Uint8Array, tip: ReturnType<typeof tipBelow>): string | undefined {
  const { transactions: all } = decodeBlock(block);
  const spent = all.slice(1).flatMap(({ inputs }) => inputs.map(({ prevHash, index }) => `${hex(prevHash)}:${index}`));
  if (new Set(spent).size < spent.length) return "bad-txns-inputs-missingorspent";
  const faults = checkBlock(block, {
    height: tip.height,
    prevHash: tip.prevHash,
    target: targetFromBits(tip.nbits),
    nbits: tip.nbits,
    medianTimePast: tip.minNtime - 1,
    now: tip.minNtime + 7_200,
    subsidyPlusFees: all.length > 1 ? MAX_MONEY : 5_000_000_000n,
  });
  return faults.find((name) => name !== "high-hash" && name !== "time-too-new");
}

function crafted({ craft, transactions: chosen }: Extract<DeclaratorStep, { do: "declare" }>, height: number): Sample {
  const own = transactions.filter((_, at) => (chosen >> at) & 1);
  const sample = { transactions: craft === "double-spend" ? [...own, doubleSpend] : own };
  return {
    ...sample,
    coinbase: { height, locktime: height - 1, ...coinbaseOf(craft, height) },
    ...messageOf(craft, own),
  };
}

function coinbaseOf(craft: Craft, height: number): NonNullable<Sample["coinbase"]> {
  switch (craft) {
    case "unpaid":
      return { outputs: [{ value: 0n, script: PAYOUT_SCRIPT }] };
    case "overpaid":
      return { outputs: [{ value: MAX_MONEY, script: PAYOUT_SCRIPT }, other] };
    case "another-payout":
      return { outputs: [other] };
    case "no-commitment":
      return { commitment: undefined };
    case "another-commitment":
      return { wtxids: [hashOf(7)] };
    case "earlier":
      return { height: height - 1, locktime: 0 };
    case "later":
      return { height: height + 1, locktime: 0 };
    case "not-final":
      return { locktime: height };
    default:
      return {};
  }
}

function messageOf(craft: Craft, own: readonly { readonly wtxid: Uint8Array }[]): Pick<Sample, "message"> {
  if (craft !== "twice") return {};
  const wtxidList = [...own, ...own].map((one) => one.wtxid) as unknown as NonNullable<Sample["message"]>["wtxidList"];
  return wtxidList === undefined ? {} : { message: { wtxidList } };
}

function altered(right: readonly Uint8Array[], how: Extract<DeclaratorStep, { do: "provide" }>["how"]): Uint8Array[] {
  switch (how) {
    case "fewer":
      return right.slice(1);
    case "more":
      return [...right, new Uint8Array(10)];
    case "mixed":
      return right.toReversed();
    case "damaged":
      return right.map((bytes) => bytes.map((byte, at) => (at === 5 ? byte ^ 1 : byte)));
    default:
      return [...right];
  }
}
