/** One thing wrong with a config file or its environment overrides. */
export interface ConfigProblem {
  /** The file, or `environment` when an override variable is at fault. */
  readonly source: string;
  /** Where in it, in the file's spelling: `upstreams[0].endpoint_id`; empty for the file as a whole. */
  readonly path: string;
  /** What was expected there. */
  readonly expected: string;
  /** The nearest known key, when an unknown one looks like a slip. */
  readonly suggestion?: string;
}

/** Stable codes of {@link ConfigError}. */
export type ConfigErrorCode = "config-not-found" | "config-unreadable" | "config-not-toml" | "config-invalid";

/** A config that cannot be used. The message lists every problem, one a line, so that one edit fixes all. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
  readonly code: ConfigErrorCode;
  readonly problems: readonly ConfigProblem[];

  constructor(code: ConfigErrorCode, problems: readonly ConfigProblem[], options?: ErrorOptions) {
    super(problems.map(describeProblem).join("\n"), options);
    this.code = code;
    this.problems = problems;
  }
}

function describeProblem({ source, path, expected, suggestion }: ConfigProblem): string {
  const where = path === "" ? source : `${source}: ${path}`;
  const hint = suggestion === undefined ? "" : ` (did you mean ${suggestion}?)`;
  return `${where}: ${expected}${hint}`;
}
