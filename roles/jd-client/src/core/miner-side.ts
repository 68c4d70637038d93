import type { SessionTerms } from "./session-types.ts";

/** The half of the core that serves miners, as its upstream half sees it. */
export interface MinerSide {
  /** The miners' summed hashrate, in H/s; that of the weakest there may be, while there is none. */
  readonly hashrate: () => number;
  /**
   * Makes all work anew for what is mined for now: undefined is the miner alone. Returns why that does not fit, if it
   * does not; then nothing has changed.
   */
  readonly rework: (terms: SessionTerms | undefined) => string | undefined;
  /** Miners' targets must follow the pool's. */
  readonly retarget: (terms: SessionTerms) => void;
}
