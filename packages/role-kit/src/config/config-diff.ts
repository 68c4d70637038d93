import { isDeepStrictEqual } from "node:util";
import { displayPath } from "./key-case.ts";

/**
 * Every key of a config that holds a value, by its path in the file's spelling (`iroh.allowed_peers`). A list is one
 * value, whatever is in it.
 */
export function valuesOf(config: object): ReadonlyMap<string, unknown> {
  const values = new Map<string, unknown>();
  collect(config, [], values);
  return values;
}

/** The paths that hold another value in `after` than in `before`, or are in one of them only, in alphabetical order. */
export function changedKeys(
  before: ReadonlyMap<string, unknown>,
  after: ReadonlyMap<string, unknown>,
): readonly string[] {
  const paths = new Set([...before.keys(), ...after.keys()]);
  return [...paths].filter((path) => !isDeepStrictEqual(before.get(path), after.get(path))).toSorted();
}

function collect(table: object, path: readonly string[], values: Map<string, unknown>): void {
  for (const [key, value] of Object.entries(table)) {
    const at = [...path, key];
    if (isPlainTable(value)) collect(value, at, values);
    else if (value !== undefined) values.set(displayPath(at), value);
  }
}

function isPlainTable(value: unknown): value is object {
  return typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}
