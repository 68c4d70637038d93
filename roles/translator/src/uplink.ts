import type { MinedLink } from "./link-state.ts";
import type { Miner } from "./miner.ts";

/** Jobs that miners are told of in a second; of more, they are told the newest. */
const JOBS_PER_SECOND = 20;

/** Miners that share an upstream channel, whatever session that is in. */
export class Uplink {
  readonly miners = new Set<Miner>();
  /** The channel whose jobs they have. Another takes its place when there is work on it. */
  active: MinedLink | undefined;
  #jobsTold = 0;
  #held: "nothing" | "job" | "clean-job" = "nothing";

  /** Whether a job of a new tip is held back, so that what comes in its place must be told as one. */
  get holdsClean(): boolean {
    return this.#held === "clean-job";
  }

  /** The sum of the miners' hashrates, in H/s. */
  get nominalHashrate(): number {
    let sum = 0;
    for (const miner of this.miners) sum += miner.nominalHashrate;
    return sum;
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

  /** Miners have the work of another channel from now on. */
  moveTo(link: MinedLink): void {
    this.active = link;
    this.#held = "nothing";
  }

  /** The jobs that miners have are dead. */
  retire(): void {
    for (const miner of this.miners) miner.retire();
  }
}
