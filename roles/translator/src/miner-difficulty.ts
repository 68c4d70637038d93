import { meetsTarget, type Target, targetFromHashrate, targetToBytes } from "@adit/bitcoin";
import { defaultVardiffOptions, Vardiff } from "@adit/channels";
import { hashrateOfDifficulty, sv1Difficulty } from "./difficulty.ts";
import type { MinerRules } from "./miner-rules.ts";
import type { UpstreamWork } from "./upstream-work.ts";

/** A new difficulty waits for the next job this long at most. */
const RETARGET_WAIT_MS = 30_000;
/** A difficulty wrong by this factor does not wait. */
const URGENT_RATIO = 4;
/** Shares at the target of a claim, in a password or under a name known from before, that make it worth passing on. */
const PROVING_SHARES = 3;
/** From this many shares on, an estimate is worth remembering. */
const TELLING_SHARES = 10;
/** The part of the lines allowed a miner that its shares may take: what is left covers an estimate that is far too low. */
const SHARES_PER_LINE = 0.1;

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
 * How hard a miner's shares are, and the estimate of its hashrate that this is made of. Times are milliseconds that never
 * run backwards.
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
export class MinerDifficulty {
  readonly #rules: MinerRules;
  #current: number;
  #startHashrate: number;
  #isSuggested = false;
  #shares = 0;
  #vardiff: Vardiff | undefined;
  /** What the vardiff estimate is made of: hashes that meet this. */
  #vardiffTarget: OwnTarget | undefined;
  /** Shares that met the estimate's target since the miner, or its name, claimed a hashrate. */
  #proof = 0;
  #retargetSince: number | undefined;

  constructor(rules: MinerRules) {
    this.#rules = rules;
    this.#startHashrate = rules.startHashrate;
    this.#current = sv1Difficulty(targetFromHashrate(rules.startHashrate, rules.sharesPerMinute));
  }

  /** What the miner was told last, or will be told first. */
  get current(): number {
    return this.#current;
  }

  /** The hashrate that its shares tell, in H/s; undefined when that is not looked at, or they are too few. */
  get proven(): number | undefined {
    return this.#rules.enableVardiff && this.#shares >= TELLING_SHARES ? this.#vardiff?.hashrate : undefined;
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

  /**
   * The miner asks for a difficulty. Returns whether it is heeded: a miner knows itself better than a default does, but not
   * better than its own shares, and its first word counts.
   */
  suggest(difficulty: number, now: number): boolean {
    if (!this.#mayStartAnew) return false;
    this.#isSuggested = true;
    this.#startAnew(hashrateOfDifficulty(difficulty, this.#rules.sharesPerMinute), now);
    return true;
  }

  /** What a miner of this name was found to have before, in H/s. Returns whether that is heeded, too. */
  remember(hashrate: number, now: number): boolean {
    if (!this.#mayStartAnew) return false;
    this.#startAnew(hashrate, now);
    return true;
  }

  /** Work has come after a time without: that time says nothing about the miner's speed. */
  resume(now: number): void {
    const { sharesPerMinute } = this.#rules;
    const hashrate = this.#vardiff?.hashrate ?? this.#startHashrate;
    const channel = { sharesPerMinute, minHashrate: 1, hashrate, deferred: true };
    this.#vardiff = new Vardiff({ ...defaultVardiffOptions, ...channel }, now);
  }

  /**
   * The miner found a share. Its target is often easier than the estimate asks for, by rounding or for the upstream's sake.
   * Counting the hashes that meet the estimate's own target keeps the estimate exact whatever the miner was told.
   */
  share(hash: Uint8Array, now: number): void {
    this.#shares += 1;
    if (this.#vardiff === undefined || !meetsTarget(hash, this.#ownTarget(this.#vardiff).bytes)) return;
    this.#vardiff.share(now);
    this.#proof += 1;
  }

  /** A second has passed while the miner had this work. */
  tick(work: UpstreamWork, now: number): void {
    if (this.#vardiff?.tick(now) === undefined) return;
    if (this.isOff(work)) {
      this.#retargetSince ??= now;
      return;
    }
    this.#retargetSince = undefined;
    this.#vardiff.applied(now);
  }

  /** Whether the miner ought to be told another difficulty for this work. */
  isOff(work: UpstreamWork): boolean {
    return this.#wanted(work) !== this.#current;
  }

  /**
   * Whether a job must be sent for the sake of its difficulty. It changes with a job: changed in the middle of one, some
   * firmware shows its own work as rejected.
   */
  isDue(work: UpstreamWork, now: number): boolean {
    if (this.#retargetSince === undefined) return false;
    const ratio = this.#wanted(work) / this.#current;
    const urgent = ratio >= URGENT_RATIO || ratio <= 1 / URGENT_RATIO;
    return urgent || now - this.#retargetSince >= RETARGET_WAIT_MS;
  }

  /** The miner is told a job: returns the difficulty that goes with it. */
  issue(work: UpstreamWork, now: number): number {
    this.#current = this.#wanted(work);
    this.#retargetSince = undefined;
    this.#vardiff?.applied(now);
    return this.#current;
  }

  get #mayStartAnew(): boolean {
    return !this.#isSuggested && this.#shares === 0 && this.#rules.enableVardiff;
  }

  #startAnew(hashrate: number, now: number): void {
    this.#startHashrate = hashrate;
    this.#proof = 0;
    this.#vardiff?.reset(hashrate, now);
  }

  #wanted({ job }: UpstreamWork): number {
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
}
