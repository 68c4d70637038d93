import { hex } from "@adit/bitcoin";
import {
  ROLLABLE_VERSION_BITS,
  type Sv1Job,
  type Sv1ServerEffect,
  type Sv1ServerInput,
  Sv1ServerSession,
  type Sv1Share,
} from "@adit/sv1";
import { difficultyInPassword, sv1Difficulty } from "./difficulty.ts";
import type { MinerId, SessionId } from "./effects.ts";
import { type ExtranonceLayout, extranonce1Of } from "./extranonce-layout.ts";
import { MinerDifficulty } from "./miner-difficulty.ts";
import type { MinerRules } from "./miner-rules.ts";
import { MinerSilence } from "./miner-silence.ts";
import type { Outbox } from "./outbox.ts";
import { RecentWork } from "./recent-work.ts";
import type { RememberedHashrates } from "./remembered-hashrates.ts";
import { UpstreamWork } from "./upstream-work.ts";

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

/** One Stratum V1 miner: its session, its work, its counts. */
export class Miner {
  readonly id: MinerId;
  readonly peer: string;
  readonly since: number;
  readonly #host: MinerHost;
  readonly #outbox: Outbox;
  readonly #remembered: RememberedHashrates;
  readonly #session: Sv1ServerSession;
  readonly #recent: RecentWork;
  readonly #difficulty: MinerDifficulty;
  readonly #silence: MinerSilence;
  /** Its number among the miners; set by the host when it joins. */
  index: number | undefined;
  userAgent = "";
  sharesAccepted = 0;
  sharesRejected = 0;
  lastShareAt: number | undefined;
  #extranonce: string | undefined;
  #versionMask = ROLLABLE_VERSION_BITS;
  #work: UpstreamWork | undefined;
  #closed = false;

  constructor(
    connected: { readonly id: MinerId; readonly peer: string },
    rules: MinerRules,
    context: { readonly host: MinerHost; readonly outbox: Outbox; readonly remembered: RememberedHashrates },
  ) {
    this.id = connected.id;
    this.peer = connected.peer;
    this.since = context.outbox.now;
    this.#host = context.host;
    this.#outbox = context.outbox;
    this.#remembered = context.remembered;
    this.#recent = new RecentWork(this.since);
    this.#difficulty = new MinerDifficulty(rules);
    this.#silence = new MinerSilence(rules.keepaliveMs, this.since);
    const told = { extranonce1: null, versionMask: this.#versionMask, difficulty: this.#difficulty.current };
    const { extranonce2Size, limits, hashing } = rules;
    this.#session = new Sv1ServerSession({ ...told, extranonce2Size, limits, hashing });
  }

  /** Hashrate that the upstream is told, in H/s. */
  get nominalHashrate(): number {
    return this.#difficulty.nominalHashrate;
  }

  /** Hashrate as its shares prove, in H/s, for people. */
  get hashrate(): number {
    return this.#recent.hashrate(this.#outbox.now);
  }

  /** The difficulty it was told last, or will be told first. */
  get difficulty(): number {
    return this.#difficulty.current;
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
    if (this.#work === undefined) this.#difficulty.resume(this.#outbox.now);
    this.#work = work;
    this.#issue(work, again ? work.again(this.#outbox.nextJobId(), this.#outbox.now) : work.fresh);
  }

  /** The miner's jobs are dead: the upstream or the channel is gone. */
  retire(): void {
    this.#feed({ type: "retire-jobs" });
    if (this.#work === undefined) return;
    this.#work = undefined;
    this.#silence.idle(this.#outbox.now);
  }

  /** The jobs of a session that was left are dead; those it has now are of another. */
  retireSession(session: SessionId): void {
    const keeps = ({ upstream: work }: Sv1Job): boolean => !(work instanceof UpstreamWork) || work.session !== session;
    this.#feed({ type: "retire-jobs", keeps });
  }

  /** A second has passed. */
  tick(): void {
    this.#feed({ type: "tick" });
    if (this.#closed || !this.#session.subscribed) return;
    const work = this.#work;
    if (work === undefined) return this.#keepCompany();
    const { now } = this.#outbox;
    this.#difficulty.tick(work, now);
    const isSilent = this.#silence.asksForJob(this.#session.lastNotify, now);
    if (isSilent || this.#difficulty.isDue(work, now)) this.give(work, true);
  }

  /** Forgets the miner without a word to it. */
  gone(): void {
    this.#closed = true;
    const [userName] = this.userNames;
    const { proven } = this.#difficulty;
    if (userName !== undefined && proven !== undefined) this.#remembered.keep(userName, proven);
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
    this.#silence.sent(this.#outbox.now);
    this.#outbox.emit({ type: "send-line", to: this.id, line });
  }

  #onAuthorized(userName: string, password: string): void {
    this.#outbox.log("info", "miner authorized", { miner: this.id, peer: this.peer, userName });
    const difficulty = difficultyInPassword(password);
    if (difficulty !== undefined) return this.#onSuggestion(difficulty);
    const hashrate = this.#remembered.of(userName);
    if (hashrate !== undefined && this.#difficulty.remember(hashrate, this.#outbox.now)) this.#adjust();
  }

  #onSuggestion(difficulty: number): void {
    if (this.#difficulty.suggest(difficulty, this.#outbox.now)) this.#adjust();
  }

  /** The miner was found to be slower or faster than was thought: it hears so at once. */
  #adjust(): void {
    if (this.#work !== undefined && this.#difficulty.isOff(this.#work)) this.give(this.#work, true);
  }

  #onShare(share: Sv1Share): void {
    const { now } = this.#outbox;
    this.sharesAccepted += 1;
    this.lastShareAt = now;
    this.#recent.add(share.difficultyTarget, now);
    this.#outbox.count("sharesAccepted");
    this.#difficulty.share(share.hash, now);
    if (share.job.upstream instanceof UpstreamWork) this.#host.submit(share.job.upstream, share);
  }

  #issue(work: UpstreamWork, job: Sv1Job): void {
    if (work.versionMask !== this.#versionMask) {
      this.#versionMask = work.versionMask;
      this.#feed({ type: "version-mask", mask: work.versionMask });
    }
    const difficulty = this.#difficulty.issue(work, this.#outbox.now);
    if (difficulty > sv1Difficulty(work.job.target)) this.#host.keepsBack();
    this.#feed({ type: "job", job, difficulty });
  }

  /** Without work there is nothing true to send but the difficulty in force, which makes miners wait on. */
  #keepCompany(): void {
    if (!this.#silence.asksForCompany(this.#outbox.now)) return;
    const text = this.difficulty >= 1 ? String(this.difficulty) : this.difficulty.toFixed(9);
    this.#send(`{"id":null,"method":"mining.set_difficulty","params":[${text}]}`);
  }
}
