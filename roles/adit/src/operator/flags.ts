import type { OperatorOptions } from "./operator.ts";

/** Flags of every command that calls a role, for `parseArgs`. */
export const operatorFlags = {
  key: { type: "string" },
  relay: { type: "string" },
  timeout: { type: "string" },
} as const;

/** A command line that cannot be run as it is given. */
export class UsageError extends Error {
  override readonly name = "UsageError";
  readonly code = "ERR_PARSE_ARGS_USAGE";
}

/** Reads {@link operatorFlags}. Throws UsageError. */
export function operatorOptions(values: {
  readonly key?: string | undefined;
  readonly relay?: string | undefined;
  readonly timeout?: string | undefined;
}): OperatorOptions {
  const seconds = positive("timeout", values.timeout, 10);
  const { relay } = values;
  if (relay !== undefined && relay !== "default" && relay !== "disabled" && !/^https?:\/\//.test(relay)) {
    throw new UsageError("--relay takes default, disabled, or the URL of a relay");
  }
  return { keyPath: values.key, relay, timeoutMs: seconds * 1000 };
}

/** A flag that takes a number above 0. Throws UsageError. */
export function positive(name: string, text: string | undefined, fallback: number): number {
  const value = text === undefined ? fallback : Number(text);
  if (!(value > 0 && value <= 86_400)) throw new UsageError(`--${name} takes seconds above 0`);
  return value;
}
