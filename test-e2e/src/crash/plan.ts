import { parseArgs } from "node:util";
import { Random } from "../harness/random.ts";

/** The roles that are killed, upstream first. */
export const roleNames = ["template-provider", "pool", "translator"] as const;
/** One of {@link roleNames}. */
export type RoleName = (typeof roleNames)[number];

/**
 * What a kill waits for before its delay begins. `any`: nothing. `share`, `block`: a miner submits one. `acknowledgement`:
 * a miner is told that shares were accepted. `job`: a miner gets new work. `start`: the role is killed and started, and
 * the delay runs from there, so that it is killed once more while it opens its files and makes its connections.
 */
export type Moment = "any" | "share" | "block" | "acknowledgement" | "job" | "start";

/** What a run is to be. */
export interface Plan {
  readonly kills: number;
  readonly seed: number;
  /** Longest time for the kills, recoveries included. */
  readonly minutes: number;
}

/** A first start of a role, cut short after so many milliseconds. */
export interface Birth {
  readonly role: RoleName;
  readonly delayMs: number;
}

/** One kill of a plan. */
export interface PlannedKill {
  readonly role: RoleName;
  readonly moment: Moment;
  /** Milliseconds from the moment. */
  readonly delayMs: number;
}

const MOST_KILLS = 10_000;
const MOST_MINUTES = 1_440;

/** Longest delays: those of a commit and its answer are of milliseconds, those of a start of seconds. */
const longestDelayMs: Readonly<Record<Moment, number>> = {
  any: 1_500,
  share: 25,
  block: 40,
  acknowledgement: 15,
  job: 40,
  start: 2_000,
};
/** Before that a process only loads its code. */
const SHORTEST_BIRTH_MS = 400;
const moments = Object.keys(longestDelayMs) as readonly Moment[];

/** Reads the command line. Throws RangeError with what is wrong. */
export function readPlan(args: readonly string[]): Plan {
  const { values } = parseArgs({
    args: [...args].filter((arg) => arg !== "--"),
    options: {
      kills: { type: "string", default: "100" },
      seed: { type: "string", default: "1" },
      minutes: { type: "string", default: "30" },
    },
  });
  return {
    kills: whole("--kills", values.kills, MOST_KILLS),
    seed: whole("--seed", values.seed, 2 ** 32 - 1),
    minutes: whole("--minutes", values.minutes, MOST_MINUTES),
  };
}

function whole(name: string, text: string, most: number): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= 1 && value <= most) return value;
  throw new RangeError(`${name} is a whole number from 1 to ${most}, got "${text}"`);
}

/** First starts that are cut short while the role makes its files: one a role for each twenty kills, upstream first. */
export function plannedBirths({ kills, seed }: Plan): readonly Birth[] {
  const random = new Random(seed, 1);
  return roleNames.flatMap((role) =>
    Array.from({ length: Math.ceil(kills / 20) }, () => ({ role, delayMs: SHORTEST_BIRTH_MS + random.upTo(800) })),
  );
}

/** The kills of a run: the same for the same plan. Each role has its turn in every three, in an order of its own. */
export function plannedKills({ kills, seed }: Plan): readonly PlannedKill[] {
  const random = new Random(seed, 0);
  const planned: PlannedKill[] = [];
  while (planned.length < kills) {
    const left = [...roleNames];
    while (left.length > 0 && planned.length < kills) {
      const [role = "pool"] = left.splice(random.upTo(left.length - 1), 1);
      const moment = random.pick(moments);
      planned.push({ role, moment, delayMs: random.upTo(longestDelayMs[moment]) });
    }
  }
  return planned;
}
