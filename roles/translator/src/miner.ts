import { hex, meetsTarget, type ShareHashing, type Target, targetFromHashrate, targetToBytes } from "@adit/bitcoin";
import { defaultVardiffOptions, Vardiff } from "@adit/channels";
import {
  ROLLABLE_VERSION_BITS,
  type Sv1Job,
  type Sv1Limits,
  type Sv1ServerEffect,
  type Sv1ServerInput,
  Sv1ServerSession,
  type Sv1Share,
} from "@adit/sv1";
import { difficultyInPassword, hashrateOfDifficulty, sv1Difficulty } from "./difficulty.ts";
import type { MinerId, SessionId } from "./effects.ts";
import { type ExtranonceLayout, extranonce1Of } from "./extranonce-layout.ts";
import type { Outbox } from "./outbox.ts";
import { RecentWork } from "./recent-work.ts";
import type { RememberedHashrates } from "./remembered-hashrates.ts";
import { UpstreamWork } from "./upstream-work.ts";

/** What every miner is treated by. */
export interface MinerRules {
  readonly sharesPerMinute: number;
  /** Hashrate a miner is taken to have until its shares tell, in H/s. */
  readonly startHashrate: number;
  readonly enableVardiff: boolean;
  /** Longest time without a line to a miner, in milliseconds; 0: for ever. */
  readonly keepaliveMs: number;
  readonly extranonce2Size: number;
  readonly limits: Sv1Limits;
  readonly hashing: ShareHashing;
}

/** Who a miner turns to for what concerns the upstream. */
export interface MinerHost {
  /** The miner speaks Stratum and waits for its extranonce. Once a miner. */
  join(miner: Miner): void;
  /** The miner is gone. */
  leave(miner: Miner): void;
  /** A share that met the miner's target. */
  submit(work: UpstreamWork, share: Sv1Share): void;
  /** The upstream's target is so easy that the miner is held at a harder one, and what lies between is kept back. */
  keepsBack(): void;
}

/** A new difficulty waits for the next job this long at most. */
const RETARGET_WAIT_MS = 30_000;
/** A difficulty wrong by this factor does not wait. */
const URGENT_RATIO = 4;
/** From this many shares on, an estimate is worth remembering. */
const TELLING_SHARES = 10;
/** Shares at the target of a claim, in a password or under a name known from before, that make it worth passing on. */
const PROVING_SHARES = 3;
/** The part of the lines allowed a miner that its shares may take: what is left covers an estimate that is far too low. */
const SHARES_PER_LINE = 0.1;
/** Miners that get no work are kept company this long; then those with a second pool may go there. */
const OUTAGE_PATIENCE_MS = 600_000;

/** What an estimate of a miner's hashrate asks for. */
interface OwnTarget {
  /** The estimate, in H/s. */
  readonly hashrate: number;
  /** At this, the miner finds the shares a minute it shall find. */
  readonly target: Target;
  /** `target` as 32 little-endian bytes. */
  readonly bytes: Uint8Array;
  /** At this, it finds as many as it may send. */
  readonly easiest: Target;
}

/**
 * One Stratum V1 miner: its session, its difficulty, its counts.
 *
 * Its target is not harder than the target of the upstream job it works on, with one exception. The pool credits a
 * share with the work of its own target whatever the hash is worth, so a miner that keeps back shares the pool would
 * take loses a part of its work. An easier target loses nothing: what misses the upstream's target is dropped here and
 * was never worth anything there. A miner that outgrows the upstream's target therefore stays at that target, while the
 * sum of hashrates, told with UpdateChannel, asks the pool for a harder one.
 *
 * The exception is a pool whose target is so easy that the miner would exceed the rate of lines it is allowed. It would
 * be closed for doing as it was told, over and over: better to lose the difference than the miner.
 */
export class Miner {
  readonly id: MinerId;
  readonly peer: string;
  readonly since: number;
  readonly #rules: MinerRules;
  readonly #host: MinerHost;
  readonly #outbox: Outbox;
  readonly #remembered: RememberedHashrates;
  readonly #session: Sv1ServerSession;
  readonly #recent: RecentWork;
  /** Its number among the miners; set by the host when it joins. */
  index: number | undefined;
  userAgent = "";
  sharesAccepted = 0;
  sharesRejected = 0;
  lastShareAt: number | undefined;
  #extranonce: string | undefined;
  #versionMask = ROLLABLE_VERSION_BITS;
  #work: UpstreamWork | undefined;
  #difficulty: number;
  #startHashrate: number;
  #suggested = false;
  #vardiff: Vardiff | undefined;
  /** What the vardiff estimate is made of: hashes that meet this. */
  #vardiffTarget: OwnTarget | undefined;
  /** Shares that met the estimate's target since the miner, or its name, claimed a hashrate. */
  #proof = 0;
  #retargetSince: number | undefined;
  #lastSentAt: number;
  #idleSince: number;
  #closed = false;

  constructor(
    connected: { readonly id: MinerId; readonly peer: string },
    rules: MinerRules,
    context: { readonly host: MinerHost; readonly outbox: Outbox; readonly remembered: RememberedHashrates },
  ) {
    this.id = connected.id;
    this.peer = connected.peer;
    this.since = context.outbox.now;
    this.#rules = rules;
    this.#host = context.host;
    this.#outbox = context.outbox;
    this.#remembered = context.remembered;
    this.#recent = new RecentWork(this.since);
    this.#startHashrate = rules.startHashrate;
    this.#difficulty = sv1Difficulty(targetFromHashrate(rules.startHashrate, rules.sharesPerMinute));
    this.#lastSentAt = this.since;
    this.#idleSince = this.since;
    this.#session = new Sv1ServerSession({
      extranonce1: null,
      extranonce2Size: rules.extranonce2Size,
      versionMask: this.#versionMask,
      difficulty: this.#difficulty,
      limits: rules.limits,
      hashing: rules.hashing,
    });
  }

  /**
   * Hashrate that the upstream is told, in H/s. A claim goes no further than this miner's own difficulty until shares
   * prove it: on a shared channel, it would make the target too hard for everybody.
   */
  get nominalHashrate(): number {
    const { enableVardiff, startHashrate } = this.#rules;
    if (!enableVardiff) return startHashrate;
    const hashrate = this.#vardiff?.hashrate ?? this.#startHashrate;
    return this.#proof < PROVING_SHARES ? Math.min(hashrate, startHashrate) : hashrate;
  }

  /** Hashrate as its shares prove, in H/s, for people. */
  get hashrate(): number {
    return this.#recent.hashrate(this.#outbox.now);
  }

  /** The difficulty it was told last, or will be told first. */
  get difficulty(): number {
    return this.#difficulty;
  }

  /** The names it authorized. */
  get userNames(): ReadonlySet<string> {
    return this.#session.userNames;
  }

  /** It was told its extranonce, so it can be given work. */
  get placed(): boolean {
    return this.#extranonce !== undefined;
  }

  /** A line from the miner. */
  line(line: string): void {
    this.#feed({ type: "line", line });
  }

  /** Tells the miner its extranonce, if that is new or another one. */
  place(layout: ExtranonceLayout): void {
    if (this.index === undefined) return;
    const extranonce1 = extranonce1Of(layout, this.index);
    const extranonce = `${hex(extranonce1)}/${layout.extranonce2Size}`;
    if (extranonce === this.#extranonce) return;
    this.#extranonce = extranonce;
    this.#feed({ type: "extranonce", extranonce1, extranonce2Size: layout.extranonce2Size });
  }

  /** Gives the miner a job of its channel; `again` when it may have had the same work before. */
  give(work: UpstreamWork, again: boolean): void {
    this.place(work.layout);
    if (this.#closed) return;
    if (this.#work === undefined) this.#resume();
    this.#work = work;
    this.#issue(again ? work.again(this.#outbox.nextJobId(), this.#outbox.now) : work.fresh);
  }

  /** The miner's jobs are dead: the upstream or the channel is gone. */
  retire(): void {
    this.#feed({ type: "retire-jobs" });
    if (this.#work === undefined) return;
    this.#work = undefined;
    this.#idleSince = this.#outbox.now;
  }

  /** The jobs of a session that was left are dead; those it has now are of another. */
  retireSession(session: SessionId): void {
    const keeps = ({ upstream }: Sv1Job): boolean =>
      !(upstream instanceof UpstreamWork) || upstream.session !== session;
    this.#feed({ type: "retire-jobs", keeps });
  }

  /** A second has passed. */
  tick(): void {
    this.#feed({ type: "tick" });
    if (this.#closed || !this.#session.subscribed) return;
    const work = this.#work;
    if (work === undefined) return this.#keepCompany();
    if (this.#vardiff?.tick(this.#outbox.now) !== undefined) this.#retarget(work);
    if (this.#retargetIsDue(work) || this.#silent()) this.give(work, true);
  }

  /** Forgets the miner without a word to it. */
  gone(): void {
    this.#closed = true;
    const [userName] = this.userNames;
    const isTelling = this.#rules.enableVardiff && this.sharesAccepted >= TELLING_SHARES;
    if (userName !== undefined && isTelling && this.#vardiff !== undefined) {
      this.#remembered.keep(userName, this.#vardiff.hashrate);
    }
    this.#host.leave(this);
  }

  /** Closes the miner from this side. */
  close(reason: string): void {
    if (this.#closed) return;
    this.#outbox.count("minersClosed", reason);
    this.#outbox.log("debug", "miner closed", { miner: this.id, peer: this.peer, reason });
    this.#outbox.emit({ type: "close-miner", miner: this.id, reason });
    this.gone();
  }

  #feed(input: Sv1ServerInput): void {
    for (const effect of this.#session.handle(input, this.#outbox.now)) {
      if (!this.#closed) this.#perform(effect);
    }
  }

  #perform(effect: Sv1ServerEffect): void {
    switch (effect.type) {
      case "send":
        return this.#send(effect.line);
      case "extranonce-needed":
        this.userAgent = effect.userAgent;
        return this.#host.join(this);
      case "subscribed":
        return this.#outbox.log("debug", "miner subscribed", { miner: this.id, userAgent: effect.userAgent });
      case "authorized":
        return this.#onAuthorized(effect.userName, effect.password);
      case "suggest-difficulty":
        return this.#onSuggestion(effect.difficulty);
      case "share":
        return this.#onShare(effect.share);
      case "rejected":
        this.sharesRejected += 1;
        return this.#outbox.count("sharesRejected", effect.reason);
      case "fault":
        return this.#outbox.count("faults", effect.code);
      case "close":
        return this.close(effect.reason);
      default:
        effect satisfies never;
    }
  }

  #send(line: string): void {
    this.#lastSentAt = this.#outbox.now;
    this.#outbox.emit({ type: "send-line", to: this.id, line });
  }

  #onAuthorized(userName: string, password: string): void {
    this.#outbox.log("info", "miner authorized", { miner: this.id, peer: this.peer, userName });
    const difficulty = difficultyInPassword(password);
    if (difficulty !== undefined) return this.#onSuggestion(difficulty);
    const hashrate = this.#remembered.of(userName);
    if (hashrate !== undefined && this.#mayStartAnew()) this.#startAnew(hashrate);
  }

  /** A miner knows itself better than a default does, but not better than its own shares: the first word counts. */
  #onSuggestion(difficulty: number): void {
    if (!this.#mayStartAnew()) return;
    this.#suggested = true;
    this.#startAnew(hashrateOfDifficulty(difficulty, this.#rules.sharesPerMinute));
  }

  #mayStartAnew(): boolean {
    return !this.#suggested && this.sharesAccepted === 0 && this.#rules.enableVardiff;
  }

  #startAnew(hashrate: number): void {
    this.#startHashrate = hashrate;
    this.#proof = 0;
    this.#vardiff?.reset(this.#startHashrate, this.#outbox.now);
    if (this.#work !== undefined && this.#difficultyFor(this.#work) !== this.#difficulty) this.give(this.#work, true);
  }

  #onShare(share: Sv1Share): void {
    const { now } = this.#outbox;
    this.sharesAccepted += 1;
    this.lastShareAt = now;
    this.#recent.add(share.difficultyTarget, now);
    this.#outbox.count("sharesAccepted");
    // The miner's target is often easier than the estimate asks for, by rounding or for the upstream's sake. Counting
    // the hashes that meet the estimate's own target keeps the estimate exact whatever the miner was told.
    if (this.#vardiff !== undefined && meetsTarget(share.hash, this.#ownTarget(this.#vardiff).bytes)) {
      this.#vardiff.share(now);
      this.#proof += 1;
    }
    if (share.job.upstream instanceof UpstreamWork) this.#host.submit(share.job.upstream, share);
  }

  /** Work has come after a time without: that time says nothing about the miner's speed. */
  #resume(): void {
    const { sharesPerMinute } = this.#rules;
    const hashrate = this.#vardiff?.hashrate ?? this.#startHashrate;
    const channel = { sharesPerMinute, minHashrate: 1, hashrate, deferred: true };
    this.#vardiff = new Vardiff({ ...defaultVardiffOptions, ...channel }, this.#outbox.now);
  }

  #issue(job: Sv1Job): void {
    const work = this.#work;
    if (work === undefined) return;
    if (work.versionMask !== this.#versionMask) {
      this.#versionMask = work.versionMask;
      this.#feed({ type: "version-mask", mask: work.versionMask });
    }
    this.#difficulty = this.#difficultyFor(work);
    if (this.#difficulty > sv1Difficulty(work.job.target)) this.#host.keepsBack();
    this.#retargetSince = undefined;
    this.#vardiff?.applied(this.#outbox.now);
    this.#feed({ type: "job", job, difficulty: this.#difficulty });
  }

  #difficultyFor({ job }: UpstreamWork): number {
    if (this.#vardiff === undefined) return sv1Difficulty(job.target);
    const { target, easiest } = this.#ownTarget(this.#vardiff);
    const wanted = this.#rules.enableVardiff && target > job.target ? target : job.target;
    return sv1Difficulty(wanted < easiest ? wanted : easiest);
  }

  #ownTarget({ hashrate }: Vardiff): OwnTarget {
    if (this.#vardiffTarget?.hashrate !== hashrate) {
      const { sharesPerMinute, limits } = this.#rules;
      const target = targetFromHashrate(hashrate, sharesPerMinute);
      const easiest = targetFromHashrate(hashrate, limits.messagesPerSecond * 60 * SHARES_PER_LINE);
      this.#vardiffTarget = { hashrate, target, bytes: targetToBytes(target), easiest };
    }
    return this.#vardiffTarget;
  }

  #retarget(work: UpstreamWork): void {
    if (this.#difficultyFor(work) !== this.#difficulty) {
      this.#retargetSince ??= this.#outbox.now;
      return;
    }
    this.#retargetSince = undefined;
    this.#vardiff?.applied(this.#outbox.now);
  }

  /** A difficulty changes with a job: changed in the middle of one, some firmware shows its own work as rejected. */
  #retargetIsDue(work: UpstreamWork): boolean {
    if (this.#retargetSince === undefined) return false;
    const ratio = this.#difficultyFor(work) / this.#difficulty;
    const urgent = ratio >= URGENT_RATIO || ratio <= 1 / URGENT_RATIO;
    return urgent || this.#outbox.now - this.#retargetSince >= RETARGET_WAIT_MS;
  }

  #silent(): boolean {
    const { keepaliveMs } = this.#rules;
    const { lastNotify } = this.#session;
    return keepaliveMs > 0 && lastNotify !== undefined && this.#outbox.now - lastNotify >= keepaliveMs;
  }

  /** Without work there is nothing true to send but the difficulty in force, which makes miners wait on. */
  #keepCompany(): void {
    const { now } = this.#outbox;
    const { keepaliveMs } = this.#rules;
    if (keepaliveMs === 0 || now - this.#lastSentAt < keepaliveMs || now - this.#idleSince > OUTAGE_PATIENCE_MS) return;
    const text = this.#difficulty >= 1 ? String(this.#difficulty) : this.#difficulty.toFixed(9);
    this.#send(`{"id":null,"method":"mining.set_difficulty","params":[${text}]}`);
  }
}
