/** Below this a difficulty asks for less than five hashes a share. */
const LOWEST = 1e-9;
const HIGHEST = Number.MAX_SAFE_INTEGER;

/**
 * The next difficulty at or below this one that all firmware reads alike: an integer from 1 on, below 1 a single
 * significant digit (some firmware reads integers only, some prints three decimals). Rounding goes down, since a miner
 * above the upstream target leaves work uncredited.
 *
 * Throws `RangeError` for what is no positive number.
 */
export function roundDifficultyDown(difficulty: number): number {
  if (!(difficulty > 0)) throw new RangeError(`a difficulty is a positive number, got ${difficulty}`);
  if (difficulty >= 1) return Math.min(Math.floor(difficulty), HIGHEST);
  // Cutting the decimal text rounds down exactly, where arithmetic would turn 0.3 into 0.2.
  const [digits = "", exponent = ""] = difficulty.toExponential().split("e");
  return Math.max(Number(`${digits.slice(0, 1)}e${exponent}`), LOWEST);
}

/** A difficulty as JSON text without an exponent, which some firmware cannot read. */
export function difficultyText(difficulty: number): string {
  return difficulty >= 1 ? String(difficulty) : difficulty.toFixed(decimals(difficulty));
}

/** A difficulty that a message suggests: a number, or a number in a string; `undefined` when it is neither or absurd. */
export function readDifficulty(value: unknown): number | undefined {
  const difficulty = typeof value === "string" && /^\d{1,16}(\.\d{1,16})?$/.test(value) ? Number(value) : value;
  if (typeof difficulty !== "number" || !(difficulty >= 1e-12) || difficulty > HIGHEST) return undefined;
  return difficulty;
}

function decimals(difficulty: number): number {
  return -Number(difficulty.toExponential().split("e")[1] ?? 0);
}
