import { parseArgs } from "node:util";
import type { Group, SeatSpec } from "./messages.ts";

/** What a run is to be. */
export interface Plan {
  readonly minutes: number;
  readonly miners: number;
  readonly json: boolean;
  /** Hashes a second of each miner. */
  readonly hashrate: number;
  /** Miners that leave and come back in a second. */
  readonly churnPerSecond: number;
}

/** What is done to the roles. */
export type Fault = "kill-pool" | "stop-pool" | "kill-template-provider";

/** A fault and when, in milliseconds from the start of the load. */
export interface PlannedFault {
  readonly at: number;
  readonly fault: Fault;
}

const LONGEST_MINUTES = 1_440;
const MOST_MINERS = 5_000;
const HASHRATE = 40;
const MINUTE_MS = 60_000;

/** Reads the command line. Throws RangeError with what is wrong. */
export function readPlan(args: readonly string[]): Plan {
  const { values } = parseArgs({
    args: [...args].filter((arg) => arg !== "--"),
    options: {
      minutes: { type: "string", default: "10" },
      miners: { type: "string", default: "1000" },
      json: { type: "boolean", default: false },
    },
  });
  const minutes = within("--minutes", values.minutes, { from: 0.25, to: LONGEST_MINUTES });
  const miners = Math.round(within("--miners", values.miners, { from: 10, to: MOST_MINERS }));
  return {
    minutes,
    miners,
    json: values.json,
    hashrate: HASHRATE,
    churnPerSecond: Math.max(0.5, miners * 0.0015),
  };
}

function within(name: string, text: string, { from, to }: { readonly from: number; readonly to: number }): number {
  const value = Number(text);
  if (value >= from && value <= to) return value;
  throw new RangeError(`${name} is a number from ${from} to ${to}, got "${text}"`);
}

/**
 * The pool is lost every ten minutes of the first half, and in a short run in its middle; in the second half it lives
 * on, so that its memory can be judged. The template provider is killed every twenty minutes all along.
 */
export function plannedFaults({ minutes }: Plan): readonly PlannedFault[] {
  const length = minutes * MINUTE_MS;
  const poolEvery = Math.min(10 * MINUTE_MS, length / 2);
  const providerEvery = Math.min(20 * MINUTE_MS, length);
  const faults: PlannedFault[] = [];
  for (let turn = 1; turn * poolEvery <= length / 2; turn += 1) {
    faults.push({ at: turn * poolEvery, fault: turn % 2 === 1 ? "kill-pool" : "stop-pool" });
  }
  for (let at = 0.7 * providerEvery; at <= 0.9 * length; at += providerEvery) {
    faults.push({ at, fault: "kill-template-provider" });
  }
  return faults.toSorted((a, b) => a.at - b.at);
}

const channels = ["extended", "standard", "group"] as const;
const SEATS_PER_NODE = 5;

/** The miners of one worker out of `workers`, and how many Iroh nodes they need. */
export function seatsOf(
  { miners }: Plan,
  worker: number,
  workers: number,
): { readonly seats: readonly SeatSpec[]; readonly nodes: number } {
  const seats: SeatSpec[] = [];
  let overIroh = 0;
  for (let index = worker; index < miners; index += workers) {
    const group = groupOf(Math.floor(index / workers) % 10);
    const channel = channels[Math.floor(index / (workers * 10)) % channels.length] ?? "extended";
    const node = group === "sv2-iroh" ? Math.floor(overIroh++ / SEATS_PER_NODE) : 0;
    seats.push({ group, identity: `${group}.${index}`, channel, node });
  }
  return { seats, nodes: Math.ceil(overIroh / SEATS_PER_NODE) };
}

/** Six of ten are Stratum V1 miners at the translators, two come over TCP and two over Iroh to the pool. */
function groupOf(tenth: number): Group {
  if (tenth < 3) return "sv1-via-tcp";
  if (tenth < 6) return "sv1-via-iroh";
  return tenth < 8 ? "sv2-tcp" : "sv2-iroh";
}
