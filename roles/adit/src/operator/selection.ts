import type { PeerOptions } from "@adit/network-helpers/peers";
import { loadConfig } from "@adit/role-kit";
import { toPeerOptions } from "@adit/role-network";
import { watchSource } from "../watch/config.ts";
import { type FlagValues, operatorOptions, type SelectionValues, UsageError } from "./flags.ts";
import type { OperatorOptions } from "./operator.ts";
import { type NamedTarget, nameTargets, parseTarget, type Relays, relaysFor } from "./target.ts";

/** The roles that a command is about, and how it calls them. */
export interface Selection {
  readonly targets: readonly NamedTarget[];
  /** What the file says of connections; empty without one. */
  readonly peers: Partial<PeerOptions>;
  readonly operator: OperatorOptions;
}

/**
 * The targets that a command line names, or those of a config file given with `-c`: all, or those given with `--target`.
 * Throws UsageError for names that the file does not have, NetworkError for what is no target, ConfigError.
 */
export async function selectTargets(
  texts: readonly string[],
  values: FlagValues & SelectionValues,
): Promise<Selection> {
  const { relay, ...operator } = operatorOptions(values);
  if (values.config === undefined) {
    if (values.target !== undefined) throw new UsageError("--target names targets of the file given with -c");
    const targets = nameTargets(texts);
    return { targets, peers: {}, operator: { ...operator, relay: relay ?? relaysOf(targets) } };
  }
  if (texts.length > 0) throw new UsageError("give either targets, or -c FILE that has them");
  const config = await loadConfig(watchSource, values.config, process.env);
  const all = toTargets(config.targets);
  const targets = values.target === undefined ? all : values.target.map((name) => named(name, all));
  return {
    targets: [...new Set(targets)],
    peers: toPeerOptions(config.peers),
    operator: { ...operator, relay: relay ?? config.iroh.relay },
  };
}

/** The targets of a config as a fleet takes them. */
export function toTargets(
  settings: readonly { readonly name: string; readonly target: string }[],
): readonly NamedTarget[] {
  return settings.map(({ name, target }) => ({ name, text: target, target: parseTarget(target) }));
}

function relaysOf(targets: readonly NamedTarget[]): Relays {
  return relaysFor(targets.map(({ target }) => target));
}

function named(name: string, all: readonly NamedTarget[]): NamedTarget {
  const found = all.find((one) => one.name === name);
  if (found !== undefined) return found;
  throw new UsageError(`--target ${name}: the file has ${all.map((one) => one.name).join(", ")}`);
}
