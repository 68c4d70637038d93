import type { ClientChannel } from "@adit/channels";
import type { SessionId } from "./effects.ts";
import type { LinkState, MinedLink } from "./link-state.ts";
import type { Uplink } from "./uplink.ts";
import type { UpstreamWork } from "./upstream-work.ts";

/** A change of the summed hashrate below this part of it is not worth an UpdateChannel. */
const NOMINAL_CHANGE = 0.05;
/** A change waits this long for others, as when a farm's miners join one after another. */
const UPDATE_WAIT_MS = 1000;
/** A sum that grows by this factor does not wait. */
const URGENT_RATIO = 4;
const RETRY_MIN_MS = 1000;
const RETRY_MAX_MS = 30_000;

/** The channel of an uplink's miners in one session: it may be refused, opened, closed and asked for again. */
export class UpstreamLink implements MinedLink {
  readonly uplink: Uplink;
  readonly session: SessionId;
  state: LinkState = { phase: "closed", retryAt: 0 };
  /** Which of the extranonce sizes to ask for next. */
  asked = 0;
  #failures = 0;
  #nominalTold = 0;
  #changedAt: number | undefined;

  constructor(uplink: Uplink, session: SessionId) {
    this.uplink = uplink;
    this.session = session;
  }

  /** The job to mine, once there is one. */
  get work(): UpstreamWork | undefined {
    return this.state.phase === "open" ? this.state.work : undefined;
  }

  /** The channel, while it is open. */
  get channel(): ClientChannel | undefined {
    return this.state.phase === "open" ? this.state.channel : undefined;
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
    const { miners, nominalHashrate: nominal } = this.uplink;
    if (this.state.phase !== "open" || miners.size === 0) return undefined;
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
