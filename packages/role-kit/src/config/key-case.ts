/**
 * Keys are camelCase in code and snake_case in files, environment, documents and metrics. These two functions are the
 * whole mapping; it is mechanical, so a reader of one spelling always knows the other.
 */

/** `coinbase_reward_script` becomes `coinbaseRewardScript`. A variant name in capitals (`Sv2Tp`) stays as it is. */
export function camelKey(key: string): string {
  return key.replace(/_([a-z0-9])/g, (_match, letter: string) => letter.toUpperCase());
}

/** `coinbaseRewardScript` becomes `coinbase_reward_script`. A variant name in capitals (`Sv2Tp`) stays as it is. */
export function snakeKey(key: string): string {
  return /^[A-Z]/.test(key) ? key : key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

/** A path into a config file in the file's own spelling: `upstreams[0].endpoint_id`. */
export function displayPath(path: readonly PropertyKey[]): string {
  let text = "";
  for (const part of path) {
    if (typeof part === "number") text += `[${part}]`;
    else text += `${text === "" ? "" : "."}${snakeKey(String(part))}`;
  }
  return text;
}

/** True for plain tables, false for arrays, dates and scalars. */
export function isTable(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Date);
}

/**
 * Converts every key of a parsed TOML document to camelCase. A key that is not snake_case in the file keeps a leading
 * marker, so that it is reported as unknown instead of being taken for its snake_case twin.
 */
export function camelKeys(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(camelKeys);
  if (!isTable(value)) return value;
  const converted: Record<string, unknown> = {};
  for (const [key, inner] of Object.entries(value)) {
    const camel = camelKey(key);
    converted[snakeKey(camel) === key ? camel : `${UNSPELLABLE}${key}`] = camelKeys(inner);
  }
  return converted;
}

/** Marks a key of the file that has no camelCase twin. */
export const UNSPELLABLE = "?";
