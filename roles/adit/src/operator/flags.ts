import type { Relays } from "./target.ts";

/** Flags of every command that calls a role, for `parseArgs`. */
export const operatorFlags = {
  key: { type: "string" },
  relay: { type: "string" },
  timeout: { type: "string" },
  config: { type: "string", short: "c" },
  target: { type: "string", multiple: true },
} as const;

/** How a command calls, as its command line says it. */
export interface FlagValues {
  readonly key?: string | undefined;
  readonly relay?: string | undefined;
  readonly timeout?: string | undefined;
}

/** Whom it calls, where that is in a file. */
export interface SelectionValues {
  readonly config?: string | undefined;
  readonly target?: readonly string[] | undefined;
}

/** A command line that cannot be run as it is given. */
export class UsageError extends Error {
  override readonly name = "UsageError";
  readonly code = "ERR_PARSE_ARGS_USAGE";
}

/** Reads {@link FlagValues}; no relay where none is given. Throws UsageError. */
export function operatorOptions(values: FlagValues): {
  readonly keyPath: string | undefined;
  readonly relay: Relays | undefined;
  readonly timeoutMs: number;
} {
  const seconds = positive("timeout", values.timeout, 10);
  return { keyPath: values.key, relay: relays(values.relay), timeoutMs: seconds * 1000 };
}

/** A flag that takes a number above 0. Throws UsageError. */
export function positive(name: string, text: string | undefined, fallback: number): number {
  const value = text === undefined ? fallback : Number(text);
  if (!(value > 0 && value <= 86_400)) throw new UsageError(`--${name} takes seconds above 0`);
  return value;
}

function relays(text: string | undefined): Relays | undefined {
  if (text === undefined || text === "default" || text === "disabled") return text;
  if (/^https?:\/\//.test(text)) return [{ url: text }];
  throw new UsageError("--relay takes default, disabled, or the URL of a relay");
}
