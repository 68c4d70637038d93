import { readFile, stat } from "node:fs/promises";
import { closest, distance } from "fastest-levenshtein";
import { parse, TomlError } from "smol-toml";
import type { z } from "zod";
import { ConfigError, type ConfigProblem } from "./config-error.ts";
import { type Environment, overlayEnvironment } from "./environment.ts";
import { camelKeys, displayPath, snakeKey, UNSPELLABLE } from "./key-case.ts";
import { keysAt, type SchemaNode, schemaView } from "./schema-view.ts";

/** A config file larger than this many bytes is refused: no config has that many words. */
export const MAX_CONFIG_BYTES: number = 1024 * 1024;

/** What a config is read for: its schema and the prefix of its environment overrides. */
export interface ConfigSource<C> {
  /** Keys in camelCase; the file spells them in snake_case. */
  readonly config: z.ZodType<C>;
  /** Prefix of environment overrides, e.g. `POOL` for `POOL__LISTEN_ADDRESS`. */
  readonly envPrefix: string;
}

/**
 * Reads a TOML file, lays the environment over it and checks it against the role's schema.
 *
 * @param file path of the TOML file; undefined for environment only.
 * @throws ConfigError naming the file, the path in it and what was expected, for every problem at once.
 */
export async function loadConfig<C>(role: ConfigSource<C>, file: string | undefined, env: Environment): Promise<C> {
  const text = file === undefined ? "" : await readConfigFile(file);
  return parseConfig(role, { text, file: file ?? "environment", env });
}

/** As {@link loadConfig}, from text already read. */
export function parseConfig<C>(role: ConfigSource<C>, source: { text: string; file: string; env: Environment }): C {
  const view = schemaView(role.config);
  const fromFile = camelKeys(parseToml(source.text, source.file));
  const overlaid = overlayEnvironment(fromFile, view, { prefix: role.envPrefix, env: source.env });
  const checked = role.config.safeParse(overlaid);
  if (checked.success) return checked.data;
  throw new ConfigError(
    "config-invalid",
    checked.error.issues.flatMap((issue) => problemsOf(issue, view, source.file)),
  );
}

async function readConfigFile(file: string): Promise<string> {
  try {
    const { size } = await stat(file);
    if (size > MAX_CONFIG_BYTES) {
      const expected = `expected at most ${MAX_CONFIG_BYTES} bytes, found ${size}; is this a config file?`;
      throw new ConfigError("config-unreadable", [{ source: file, path: "", expected }]);
    }
    return await readFile(file, "utf8");
  } catch (error) {
    if (error instanceof ConfigError) throw error;
    const missing = (error as NodeJS.ErrnoException).code === "ENOENT";
    const expected = missing
      ? "no such file; give the path of a TOML file with -c"
      : `cannot be read: ${String(error)}`;
    throw new ConfigError(missing ? "config-not-found" : "config-unreadable", [{ source: file, path: "", expected }], {
      cause: error,
    });
  }
}

function parseToml(text: string, file: string): unknown {
  try {
    return parse(text.replace(/^\uFEFF/, ""));
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    const [reason = "not TOML"] = error.message.split("\n");
    const source = `${file}:${error.line}:${error.column}`;
    throw new ConfigError("config-not-toml", [{ source, path: "", expected: reason }], { cause: error });
  }
}

function problemsOf(issue: z.core.$ZodIssue, view: SchemaNode, source: string): readonly ConfigProblem[] {
  if (issue.code === "unrecognized_keys") {
    return issue.keys.map((key) => unknownKey(key, keysAt(view, issue.path), { source, path: issue.path }));
  }
  if (issue.code === "invalid_union") {
    const nearest = issue.errors.toSorted((a, b) => depth(b) - depth(a) || a.length - b.length)[0];
    if (nearest !== undefined && depth(nearest) > 0) {
      return nearest.flatMap((inner) => problemsOf({ ...inner, path: [...issue.path, ...inner.path] }, view, source));
    }
  }
  const expected = issue.message.replace(/^Invalid input: /, "");
  return [{ source, path: displayPath(issue.path), expected }];
}

function depth(issues: readonly z.core.$ZodIssue[]): number {
  return Math.max(0, ...issues.map((issue) => issue.path.length));
}

function unknownKey(
  key: string,
  known: readonly string[],
  where: { source: string; path: readonly PropertyKey[] },
): ConfigProblem {
  const spelled = key.startsWith(UNSPELLABLE) ? key.slice(UNSPELLABLE.length) : snakeKey(key);
  const candidates = known.map(snakeKey);
  const nearest = candidates.length === 0 ? undefined : closest(spelled, candidates);
  const problem = { source: where.source, path: joinPath(displayPath(where.path), spelled), expected: "unknown key" };
  if (nearest === undefined || distance(spelled, nearest) > Math.max(3, spelled.length / 2)) return problem;
  return { ...problem, suggestion: nearest };
}

function joinPath(parent: string, key: string): string {
  return parent === "" ? key : `${parent}.${key}`;
}
