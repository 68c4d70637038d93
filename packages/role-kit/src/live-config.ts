import type { Logger } from "pino";
import type { z } from "zod";
import { changedKeys, valuesOf } from "./config/config-diff.ts";
import { ConfigError } from "./config/config-error.ts";
import { camelKey } from "./config/key-case.ts";
import { keysAt, type SchemaNode, schemaView } from "./config/schema-view.ts";
import type { MetricsRegister } from "./metrics.ts";

/**
 * What a reload came to: `unchanged`, no key differs from what runs; `applied`, every key that does is in force;
 * `partly`, some wait for a restart or could not be applied; `refused`, the file is bad and nothing has changed.
 */
export type ReloadResult = "unchanged" | "applied" | "partly" | "refused";

/** The outcome of a reload. It names keys as the file spells them, and never holds a value. */
export interface ReloadReport {
  readonly result: ReloadResult;
  /** Keys that are in force from now on. */
  readonly applied: readonly string[];
  /** Keys that changed in the file, and that only a restart takes over. */
  readonly needsRestart: readonly string[];
  /** What is wrong with the file, or with the new value of a key that stays as it was: one line each. */
  readonly problems: readonly string[];
}

/** What a {@link LiveConfig} is made of. */
export interface LiveConfigOptions<C> {
  /** The schema, for the keys there are. */
  readonly schema: z.ZodType<C>;
  /** What the role was started with. */
  readonly config: C;
  /** Reads and checks the config anew; rejects with {@link ConfigError}. */
  readonly load: () => Promise<C>;
  readonly log: Logger;
  readonly metrics: MetricsRegister;
}

interface LiveFile {
  readonly key: string;
  readonly refresh: () => Promise<boolean>;
}

interface LiveKeys<C> {
  readonly keys: readonly string[];
  readonly apply: (config: C) => void;
}

/**
 * The config of a running role (requirement A20). Whoever can take over a key while it runs says so; a reload applies
 * what changed there, and names the rest. A config that does not pass its schema changes nothing.
 */
export class LiveConfig<C extends object> {
  readonly #options: LiveConfigOptions<C>;
  readonly #view: SchemaNode;
  readonly #live: LiveKeys<C>[] = [];
  readonly #files: LiveFile[] = [];
  readonly #count: (result: ReloadResult) => void;
  /** What is in force, which after a reload need not be what the file says. */
  readonly #running: Map<string, unknown>;
  #last: Promise<unknown> = Promise.resolve();
  #waiting: Promise<ReloadReport> | undefined;

  constructor(options: LiveConfigOptions<C>) {
    this.#options = options;
    this.#view = schemaView(options.schema);
    this.#running = new Map(valuesOf(options.config));
    const reloads = options.metrics.counter({
      name: "sv2_config_reloads_total",
      help: "Reloads of the config, by what came of them: unchanged, applied, partly, refused",
      labels: ["result"],
    });
    this.#count = (result) => reloads.inc({ result });
  }

  /**
   * Says that these keys can change while the role runs. `apply` is given the whole new config, takes over these keys and
   * no others, and throws to leave them as they are.
   *
   * @param keys as the file spells them, `iroh.allowed_peers`. Error for one that the schema does not have.
   */
  onReload(keys: readonly string[], apply: (config: C) => void): void {
    for (const key of keys) this.#checkKey(key);
    this.#live.push({ keys, apply });
  }

  /**
   * Says that the file which this key names can change while the role runs. At each reload of a good config `refresh`
   * looks at it anew, takes it over, and resolves to whether anything has changed; it rejects to leave things as they are.
   */
  onFileReload(key: string, refresh: () => Promise<boolean>): void {
    this.#checkKey(key);
    this.#files.push({ key, refresh });
  }

  /**
   * Says that a key has another value than it was given by the config, because somebody who may has changed it: a reload
   * compares its file with that.
   *
   * @param key as the file spells it. Error for one that the schema does not have.
   */
  tookOver(key: string, value: unknown): void {
    this.#checkKey(key);
    this.#running.set(key, value);
  }

  /** One reload at a time; however often it is asked for while one is under way, one more follows. Never rejects. */
  reload(): Promise<ReloadReport> {
    if (this.#waiting !== undefined) return this.#waiting;
    const turn = this.#last.then(() => {
      this.#waiting = undefined;
      return this.#reload();
    });
    this.#waiting = turn;
    this.#last = turn;
    return turn;
  }

  async #reload(): Promise<ReloadReport> {
    let next: C;
    try {
      next = await this.#options.load();
    } catch (error) {
      if (!(error instanceof ConfigError)) this.#options.log.error({ error }, "config not reloaded");
      const problems = messageOf(error).split("\n");
      return this.#tell({ result: "refused", applied: [], needsRestart: [], problems });
    }
    return this.#tell(await this.#take(next));
  }

  #checkKey(key: string): void {
    const path = key.split(".").map(camelKey);
    const known = keysAt(this.#view, path.slice(0, -1)).includes(path.at(-1) ?? "");
    if (!known) throw new Error(`this role's config has no key ${key}`);
  }

  async #take(next: C): Promise<ReloadReport> {
    const keys = this.#takeKeys(next);
    const files = await this.#takeFiles();
    const applied = [...new Set([...keys.applied, ...files.applied])].toSorted();
    const problems = [...keys.problems, ...files.problems];
    const isComplete = keys.needsRestart.length === 0 && problems.length === 0;
    const result = !isComplete ? "partly" : applied.length === 0 ? "unchanged" : "applied";
    return { result, applied, needsRestart: keys.needsRestart, problems };
  }

  async #takeFiles(): Promise<Pick<ReloadReport, "applied" | "problems">> {
    const applied: string[] = [];
    const problems: string[] = [];
    for (const { key, refresh } of this.#files) {
      try {
        if (await refresh()) applied.push(key);
      } catch (error) {
        problems.push(`${key}: ${messageOf(error)}`);
      }
    }
    return { applied, problems };
  }

  #takeKeys(next: C): Omit<ReloadReport, "result"> {
    const values = valuesOf(next);
    const changed = changedKeys(this.#running, values);
    const problems: string[] = [];
    const tried = new Set<string>();
    const failed = new Set<string>();
    for (const { keys, apply } of this.#live) {
      const concerned = keys.filter((key) => changed.includes(key));
      if (concerned.length === 0) continue;
      for (const key of concerned) tried.add(key);
      try {
        apply(next);
      } catch (error) {
        for (const key of concerned) failed.add(key);
        problems.push(`${concerned.join(", ")}: ${messageOf(error)}`);
      }
    }
    const applied = [...tried].filter((key) => !failed.has(key));
    for (const key of applied) {
      if (values.has(key)) this.#running.set(key, values.get(key));
      else this.#running.delete(key);
    }
    return { applied, needsRestart: changed.filter((key) => !tried.has(key)), problems };
  }

  #tell(report: ReloadReport): ReloadReport {
    const { log } = this.#options;
    const { result, applied, needsRestart, problems } = report;
    this.#count(result);
    if (result === "refused") {
      log.error({ problems }, "config refused: the former one stays in force");
      return report;
    }
    if (needsRestart.length > 0) log.warn({ keys: needsRestart }, "cannot change live: restart for these keys");
    if (problems.length > 0) log.error({ problems }, "config keys not applied");
    log.info({ result, applied }, "config reloaded");
    return report;
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
