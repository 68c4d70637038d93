import { z } from "zod";

/** Makers of the keys of one table of a config. */
export interface BoundedKeys {
  /** A key that counts something, at least 1. `max`: another bound than the table's. */
  readonly count: (fallback: number, meaning: string, max?: number) => z.ZodDefault<z.ZodInt>;
  /**
   * A key for a time in seconds, fractions allowed.
   *
   * @param fallbackMs its default, in milliseconds.
   * @param meaning without the unit, which is added.
   * @param least in seconds; without it, anything above 0.
   */
  readonly seconds: (fallbackMs: number, meaning: string, least?: number) => z.ZodDefault<z.ZodNumber>;
}

/**
 * Makers for a table whose counts and times are at most so large: a larger one is a slip of the pen, such as milliseconds
 * where seconds are meant.
 */
export function boundedKeys(most: { readonly count: number; readonly seconds: number }): BoundedKeys {
  return {
    count: (fallback, meaning, max = most.count) => z.int().min(1).max(max).default(fallback).describe(meaning),
    seconds: (fallbackMs, meaning, least) => {
      const time = least === undefined ? z.number().positive() : z.number().min(least);
      return time
        .max(most.seconds)
        .default(fallbackMs / 1000)
        .describe(`${meaning}, in seconds`);
    },
  };
}
