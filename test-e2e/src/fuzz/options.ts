import { parseArgs } from "node:util";
import { findingsFolder } from "./finding.ts";
import { targetNames } from "./targets.ts";

/** What a campaign is to be. */
export interface Options {
  /** Milliseconds over all targets. */
  readonly ms: number;
  readonly targets: readonly string[];
  readonly seed: number;
  /** Where findings are written. */
  readonly findings: string;
}

const LONGEST_MINUTES = 1_440;
const MINUTE_MS = 60_000;
const MAX_SEED = 0x7fff_ffff;

/** Reads the command line; the seed of a day's own is `now` (unix milliseconds). Throws RangeError with what is wrong. */
export function readOptions(args: readonly string[], now: number): Options {
  const { values } = parseArgs({
    args: args.filter((arg) => arg !== "--"),
    options: {
      minutes: { type: "string", default: "10" },
      target: { type: "string", multiple: true, default: [] },
      seed: { type: "string", default: String(Math.floor(now / 1000) & MAX_SEED) },
      findings: { type: "string", default: findingsFolder },
    },
  });
  const minutes = Number(values.minutes);
  if (!(minutes > 0 && minutes <= LONGEST_MINUTES)) {
    throw new RangeError(`--minutes is a number up to ${LONGEST_MINUTES}, got "${values.minutes}"`);
  }
  const seed = Number(values.seed);
  if (!Number.isInteger(seed) || seed < 0 || seed > MAX_SEED) {
    throw new RangeError(`--seed is an integer from 0 to ${MAX_SEED}, got "${values.seed}"`);
  }
  const unknown = values.target.find((name) => !targetNames.includes(name));
  if (unknown !== undefined) throw new RangeError(`no target ${unknown}; there are ${targetNames.join(", ")}`);
  const targets = values.target.length === 0 ? targetNames : values.target;
  return { ms: minutes * MINUTE_MS, targets, seed, findings: values.findings };
}
