import type { LinkSettings } from "./link.ts";

/** How much is measured at once. */
export interface Amounts {
  /** Connections that are set up and ended one after the other, besides those that are measured over. */
  readonly setups: number;
  readonly roundTrips: number;
  /** Milliseconds from one round trip to the next; 0 begins the next when one is over. */
  readonly everyMs: number;
  /** Control frames beside each load, one every so many milliseconds. */
  readonly controls: number;
  readonly controlEveryMs: number;
  /** How long after the last of them answers are waited for. */
  readonly patienceMs: number;
  /** How long large frames are poured. */
  readonly bulkMs: number;
}

/** A network to measure on. */
export interface Condition {
  readonly name: string;
  /** What is between both ends; undefined for nothing. */
  readonly link: LinkSettings | undefined;
  readonly amounts: Amounts;
  /** Times everything is measured, one variant after the other. */
  readonly rounds: number;
}

const near: Amounts = {
  setups: 16,
  roundTrips: 2_000,
  everyMs: 0,
  controls: 100,
  controlEveryMs: 5,
  patienceMs: 250,
  bulkMs: 500,
};
const far: Amounts = {
  setups: 0,
  roundTrips: 150,
  everyMs: 4,
  controls: 120,
  controlEveryMs: 5,
  patienceMs: 1_000,
  bulkMs: 1_000,
};

/** Every network that is measured on. Delays and losses are each way. */
export const conditions: readonly Condition[] = [
  { name: "loopback", link: undefined, amounts: near, rounds: 5 },
  { name: "100 ms", link: { delayMs: 50, lossPercent: 0 }, amounts: far, rounds: 3 },
  { name: "100 ms, 1 % lost", link: { delayMs: 50, lossPercent: 1 }, amounts: far, rounds: 3 },
  { name: "100 ms, 5 % lost", link: { delayMs: 50, lossPercent: 5 }, amounts: far, rounds: 3 },
];

/** The same in short, to warm up or to see that everything works. */
export function briefly(amounts: Amounts): Amounts {
  const less = (count: number): number => Math.ceil(count / 10);
  return {
    ...amounts,
    setups: less(amounts.setups),
    roundTrips: less(amounts.roundTrips),
    controls: less(amounts.controls),
    patienceMs: amounts.patienceMs / 4,
    bulkMs: amounts.bulkMs / 4,
  };
}
