import { pureHashing } from "@adit/bitcoin";
import { defaultChannelLimits } from "@adit/channels";
import type { SubmitSolution } from "@adit/codec";
import { defaultUpstreamPolicy } from "@adit/network-helpers";
import type { CounterName, JdClientEffect, JdClientInput } from "../effects.ts";
import { JdClientCore } from "../jd-client-core.ts";
import type { JdClientOptions } from "../jd-client-options.ts";
import type { UpstreamRoute, UpstreamRules } from "../upstream-plan.ts";
import { HARD_BITS, prevHash, START, template, transactionsOf } from "./templates.ts";
import { TestMiner } from "./test-miner.ts";
import { payoutScript, TestUpstream, type TestUpstreamOptions } from "./test-upstream.ts";

/** Where blocks pay to in solo mining. */
export const SOLO_SCRIPT = Uint8Array.of(0x00, 0x14, ...new Uint8Array(20).fill(0x99));

/** How a bench differs from the plainest one. */
interface BenchOptions {
  readonly upstreamCount?: number;
  /** What the upstreams are to the jd-client; none for solo mining. */
  readonly rules?: readonly UpstreamRules[];
  /** Whether every hash is a share at the pools. */
  readonly easyPools?: boolean;
  /** Called before anything is dialled. */
  readonly prepare?: (upstream: TestUpstream) => void;
  /** What the upstreams are otherwise. */
  readonly upstream?: Partial<TestUpstreamOptions>;
}

/** A jd-client's core with a clock, a template provider, upstreams and miners around it. Nothing takes time but ticks. */
export class Bench {
  readonly core: JdClientCore;
  readonly upstreams: readonly TestUpstream[];
  readonly miners: TestMiner[] = [];
  /** What went out, in order: where to, and the name of the message. Miners' messages are left out. */
  readonly trace: string[] = [];
  readonly counts: Map<string, number> = new Map();
  /** Blocks that the template provider was given. */
  readonly solutions: SubmitSolution[] = [];
  /** Templates whose transactions were asked for and not yet given. */
  readonly wanted: bigint[] = [];
  /** Whether the template provider gives transactions when asked. */
  givesTransactions = true;
  now = START;
  #templateId = 0n;
  #tip = 0;
  #inputs: JdClientInput[] = [];
  #isFeeding = false;

  constructor(changes: Partial<JdClientOptions> & BenchOptions = {}) {
    const { upstreamCount = 1, easyPools = false, prepare, upstream: upstreamOptions, ...others } = changes;
    const { rules, ...options } = others;
    const places = Array.from({ length: upstreamCount }, (_, place) => place);
    this.upstreams = places.map(
      (place) =>
        new TestUpstream(
          {
            place,
            prefix: Uint8Array.of(0x10 + place),
            outputs: [{ value: 0n, script: payoutScript(place) }],
            sharesPerMinute: easyPools ? 100_000 : 6,
            ...upstreamOptions,
          },
          (input) => this.feed(input),
        ),
    );
    if (prepare !== undefined) for (const upstream of this.upstreams) prepare(upstream);
    this.core = new JdClientCore(
      { ...defaults, plan: { routes: (rules ?? places.map(rulesOf)).map(routeTo), policy }, ...options },
      START,
    );
    this.feed({ type: "tick" });
    this.feed({ type: "provider-connected" });
  }

  /** The first upstream. */
  get upstream(): TestUpstream {
    const [first] = this.upstreams;
    if (first === undefined) throw new Error("there is no upstream");
    return first;
  }

  /** Gives the core an input, and everybody what it says, until nobody has anything to say. */
  feed(input: JdClientInput): void {
    this.#inputs.push(input);
    if (this.#isFeeding) return;
    this.#isFeeding = true;
    for (let next = this.#inputs.shift(); next !== undefined; next = this.#inputs.shift()) {
      for (const effect of this.core.handle(next, this.now)) this.#perform(effect);
    }
    this.#isFeeding = false;
  }

  /** A new block: first a future template, then its prevhash. Pools hear of it first, unless told otherwise. */
  newTip({ nBits = HARD_BITS, pools = true }: { readonly nBits?: number; readonly pools?: boolean } = {}): void {
    this.#tip += 1;
    if (pools) this.poolsTip(nBits);
    this.#templateId += 1n;
    this.feed({ type: "template", template: template(this.#templateId, this.#tip) });
    this.feed({ type: "prev-hash", prevHash: prevHash(this.#templateId, this.#tip, nBits) });
  }

  /** The template provider names the present tip and template once more, as it does to whoever connects. */
  sameTip({ nBits = HARD_BITS }: { readonly nBits?: number } = {}): void {
    this.feed({ type: "template", template: template(this.#templateId, this.#tip) });
    this.feed({ type: "prev-hash", prevHash: prevHash(this.#templateId, this.#tip, nBits) });
  }

  /** Pools go over to the tip that miners are on, or to one after it. */
  poolsTip(nBits: number = HARD_BITS, ahead = 0): void {
    for (const upstream of this.upstreams) upstream.newTip(this.#tip + ahead, nBits);
  }

  /** Another template on the same tip. */
  newTemplate(): void {
    this.#templateId += 1n;
    this.feed({ type: "template", template: template(this.#templateId, this.#tip, { futureTemplate: false }) });
  }

  /** Gives the transactions that were asked for while {@link givesTransactions} was false. */
  giveTransactions(): void {
    for (const templateId of this.wanted.splice(0)) this.#give(templateId);
  }

  /** The operator lists upstreams anew, by their places. */
  list(...places: readonly number[]): void {
    const routes = places.map((place) => routeTo(rulesOf(place), place));
    this.feed({ type: "upstream-list-changed", plan: { routes, policy } });
  }

  /** Seconds go by. */
  tick(seconds = 1): void {
    for (let second = 0; second < seconds; second += 1) {
      this.now += 1000;
      for (const upstream of this.upstreams) upstream.tick(this.now);
      this.feed({ type: "tick" });
    }
  }

  /** A miner connects and opens its channel. */
  join(): TestMiner {
    const connection = this.miners.length + 1;
    const miner = new TestMiner(connection, (message, worker) =>
      this.feed({ type: "message", connection, message, worker }),
    );
    this.miners.push(miner);
    this.feed({ type: "connected", connection, flags: 0, extensions: new Set([2]) });
    miner.open();
    return miner;
  }

  /** How often something was counted, under one label or all. */
  count(counter: CounterName, label?: string): number {
    if (label !== undefined) return this.counts.get(`${counter} ${label}`) ?? 0;
    let sum = 0;
    for (const [key, count] of this.counts) if (key.startsWith(`${counter} `)) sum += count;
    return sum;
  }

  #perform(effect: JdClientEffect): void {
    switch (effect.type) {
      case "send":
        for (const miner of this.miners) if (effect.to.includes(miner.connection)) miner.receive(effect.message);
        return;
      case "send-pool":
        this.trace.push(`pool ${this.#upstreamOf(effect.session)?.place}: ${effect.message.name}`);
        return this.#upstreamOf(effect.session)?.take(effect.message, effect.worker);
      case "send-jds":
        this.trace.push(`jds ${this.#upstreamOf(effect.session)?.place}: ${effect.message.name}`);
        return this.#upstreamOf(effect.session)?.take(effect.message);
      case "begin-session":
        return this.#begin(effect);
      case "end-session":
        this.trace.push(`end ${this.#upstreamOf(effect.session)?.place ?? "-"}`);
        return this.#upstreamOf(effect.session)?.disconnect();
      case "submit-solution":
        this.trace.push("provider: SubmitSolution");
        this.solutions.push(effect.solution);
        return;
      case "request-transaction-data":
        this.trace.push("provider: RequestTransactionData");
        if (this.givesTransactions) this.#give(effect.templateId);
        else this.wanted.push(effect.templateId);
        return;
      case "count": {
        const key = `${effect.counter} ${effect.label}`;
        this.counts.set(key, (this.counts.get(key) ?? 0) + effect.by);
        return;
      }
      case "close-connection":
      case "reject-share":
      case "log":
        return;
      default:
        effect satisfies never;
    }
  }

  #begin({ session, route, moves }: Extract<JdClientEffect, { readonly type: "begin-session" }>): void {
    const asked = Object.entries(moves).map(([part, { newPort }]) => ` ${part} ${newPort}`);
    this.trace.push(`begin ${route.id}${asked.join("")}`);
    // Both parts of an upstream are one here, which is asked for by its place in place of a port.
    const { newPort: place = route.id } = moves.pool ?? moves.jds ?? {};
    const upstream = this.upstreams[place];
    if (upstream?.session === undefined && upstream !== undefined) upstream.connect(session);
    else this.feed({ type: "session-down", session, reason: "nobody takes it" });
  }

  #give(templateId: bigint): void {
    const transactionList = transactionsOf(templateId);
    this.feed({ type: "transaction-data", templateId, excessData: Uint8Array.of(9), transactionList });
  }

  #upstreamOf(session: number): TestUpstream | undefined {
    return this.upstreams.find((upstream) => upstream.session === session);
  }
}

/** How miners are served unless a test says otherwise. */
export const serverOptions: JdClientOptions["server"] = {
  hashing: pureHashing,
  coinbaseTag: "miner",
  sharesPerMinute: 6,
  shareBatchSize: 1,
  ackIntervalMs: 1000,
  // A share takes eleven hashes.
  minHashrate: 1,
  vardiff: null,
  versionRollingAllowed: true,
  limits: { ...defaultChannelLimits, shareBurst: 100_000, noShareMs: 1e9, jobBurst: 1000 },
};

const policy = { ...defaultUpstreamPolicy, retryMinMs: 5000, retryMaxMs: 300_000 };

const defaults: Omit<JdClientOptions, "plan"> = {
  server: serverOptions,
  mode: "FULLTEMPLATE",
  soloScript: SOLO_SCRIPT,
  reservedExtranonceSize: 8,
  soloExtranoncePrefix: Uint8Array.of(0x50, 0x10),
  extranonceStart: 5,
  outputSpace: { maxAdditionalSize: 400, maxAdditionalSigops: 40 },
  tokenTimeoutMs: 10_000,
  answerTimeoutMs: 10_000,
  soloAfterMs: 5000,
  random: () => 0.5,
};

function routeTo(rules: UpstreamRules, upstream: number): UpstreamRoute {
  return { id: upstream, upstream, rules, pool: "tcp", jds: "tcp" };
}

/** What an upstream is to the jd-client unless a test says otherwise. */
export function rulesOf(place: number): UpstreamRules {
  return { name: `upstream-${place}`, userIdentity: "alice", expectedScript: undefined };
}
