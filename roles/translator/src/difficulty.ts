import { difficultyOf, hashrateFromTarget, type Target, targetFromDifficulty } from "@adit/bitcoin";
import { roundDifficultyDown } from "@adit/sv1";

/** A double holds every power of two up to here as an integer that all firmware can read. */
const HIGHEST = 2 ** 52;
/** Turned into a hashrate and back, a difficulty must not fall below the power of two it was. */
const A_HAIR_MORE = 1 + 2 ** -40;

/**
 * The difficulty to tell a miner whose target shall be at least `target`: a power of two from 1 on, below 1 a single
 * digit, and always rounded down. Rounded up, a miner would keep back shares that the pool counts on, and a part of its
 * work would never be credited.
 */
export function sv1Difficulty(target: Target): number {
  const difficulty = difficultyOf(target);
  if (difficulty < 1) return roundDifficultyDown(difficulty);
  let power = 1;
  while (power * 2 <= difficulty && power < HIGHEST) power *= 2;
  return power;
}

/** The hashrate, in H/s, of a miner that would have this difficulty. */
export function hashrateOfDifficulty(difficulty: number, sharesPerMinute: number): number {
  return hashrateFromTarget(targetFromDifficulty(difficulty), sharesPerMinute) * A_HAIR_MORE;
}

/** A difficulty that a miner asks for in its password, as `d=1024` or `diff=1024` among other words. */
export function difficultyInPassword(password: string): number | undefined {
  const text = /(?:^|[,; ])(?:d|diff)=(\d{1,15}(?:\.\d{1,15})?)(?=$|[,; ])/.exec(password)?.[1];
  const difficulty = Number(text ?? 0);
  return difficulty > 0 ? difficulty : undefined;
}
