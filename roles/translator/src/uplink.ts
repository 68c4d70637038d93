import type { ClientChannel } from "@adit/channels";
import type { ExtranonceLayout } from "./extranonce-layout.ts";
import type { Miner } from "./miner.ts";
import type { UpstreamWork } from "./upstream-work.ts";

/** Where an uplink stands with its upstream channel. */
export type UplinkState =
  /** No channel; one may be asked for from `retryAt` on. */
  | { readonly phase: "closed"; readonly retryAt: number }
  /** Asked for. */
  | { readonly phase: "opening"; readonly requestId: number }
  /** Open. `work`: the job to mine, once there is one. */
  | {
      readonly phase: "open";
      readonly channel: ClientChannel;
      readonly layout: ExtranonceLayout;
      readonly work: UpstreamWork | undefined;
    };

/** A change of the summed hashrate below this part of it is not worth an UpdateChannel. */
const NOMINAL_CHANGE = 0.05;
/** A change waits this long for others, as when a farm's miners join one after another. */
const UPDATE_WAIT_MS = 1000;
/** A sum that grows by this factor does not wait. */
const URGENT_RATIO = 4;
/** Jobs that miners are told of in a second; of more, they are told the newest. */
const JOBS_PER_SECOND = 20;
const RETRY_MIN_MS = 1000;
const RETRY_MAX_MS = 30_000;

/** The miners that share an upstream channel, and that channel, which may come and go under them. */
export class Uplink {
  readonly miners = new Set<Miner>();
  state: UplinkState = { phase: "closed", retryAt: 0 };
  /** Which of the extranonce sizes to ask for next. */
  asked = 0;
  #failures = 0;
  #nominalTold = 0;
  #changedAt: number | undefined;
  #jobsTold = 0;
  #held: "nothing" | "job" | "clean-job" = "nothing";

  /** Whether a job of a new tip is held back, so that what comes in its place must be told as one. */
  get holdsClean(): boolean {
    return this.#held === "clean-job";
  }

  /** A job came. Whether miners may be told now; else it is held until {@link nextSecond}. */
  mayTell(clean: boolean): boolean {
    this.#jobsTold += 1;
    if (this.#jobsTold <= JOBS_PER_SECOND) return true;
    this.#held = clean ? "clean-job" : "job";
    return false;
  }

  /** A second has passed. Whether a job was held, and is to be told now. */
  nextSecond(): boolean {
    const isHeld = this.#held !== "nothing";
    this.#held = "nothing";
    this.#jobsTold = 0;
    return isHeld;
  }

  /** The sum of the miners' hashrates, in H/s. */
  get nominalHashrate(): number {
    let sum = 0;
    for (const miner of this.miners) sum += miner.nominalHashrate;
    return sum;
  }

  /** A channel was asked for with this hashrate. */
  opening(requestId: number, nominalHashrate: number): void {
    this.state = { phase: "opening", requestId };
    this.told(nominalHashrate);
  }

  /** The channel was refused or closed: it is asked for again later, and later still the more often this happens. */
  failed(now: number, random: () => number): void {
    const bound = Math.min(RETRY_MIN_MS * 2 ** this.#failures, RETRY_MAX_MS);
    this.#failures += 1;
    this.state = { phase: "closed", retryAt: now + RETRY_MIN_MS / 2 + random() * bound };
  }

  /** The connection has gone and with it the channel: the next connection may ask at once. */
  lost(): void {
    this.state = { phase: "closed", retryAt: 0 };
    this.#failures = 0;
    this.asked = 0;
  }

  /** The upstream credits work: whatever went wrong is over. */
  proven(): void {
    this.#failures = 0;
  }

  /** The upstream was told this hashrate. */
  told(nominalHashrate: number): void {
    this.#nominalTold = nominalHashrate;
    this.#changedAt = undefined;
  }

  /** The hashrate to tell the upstream now; undefined when it knows, or when more changes may follow at once. */
  nominalDue(now: number): number | undefined {
    if (this.state.phase !== "open" || this.miners.size === 0) return undefined;
    const nominal = this.nominalHashrate;
    if (Math.abs(nominal - this.#nominalTold) <= this.#nominalTold * NOMINAL_CHANGE) {
      this.#changedAt = undefined;
      return undefined;
    }
    this.#changedAt ??= now;
    // A miner that far above the estimate floods until the upstream's target follows.
    if (nominal >= this.#nominalTold * URGENT_RATIO) return nominal;
    return now - this.#changedAt >= UPDATE_WAIT_MS ? nominal : undefined;
  }
}
