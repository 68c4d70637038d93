/** One number of a metrics page. */
export interface Sample {
  readonly name: string;
  /** What stands between the braces, without a trailing comma; empty when there are none. */
  readonly labels: string;
  /** As it was written. */
  readonly value: string;
}

/** A metric with all its samples. */
export interface Family {
  readonly name: string;
  /** `untyped` when the page does not say. */
  readonly type: string;
  /** As it was written; empty when the page does not say. */
  readonly help: string;
  readonly samples: Sample[];
}

/** A metrics page taken apart. */
export interface Exposition {
  /** By name, in the order of the page. */
  readonly families: ReadonlyMap<string, Family>;
  /** Lines that are none of a metrics page, that come twice, or that were too many. */
  readonly refused: number;
}

/** Samples of one page at most; a role of ours has some hundred. */
export const MAX_SAMPLES = 20_000;

const LABEL = String.raw`[a-zA-Z_]\w*="(?:[^"\\\p{Cc}]|\\[\\n"])*"`;
/** As Go reads it: prom-client writes `Nan`. */
const NUMBER = String.raw`[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?|[+-]?[Ii][Nn][Ff]|[Nn][Aa][Nn]`;
const sampleLine = new RegExp(
  String.raw`^([a-zA-Z_:][\w:]*)(?:\{(?:(${LABEL}(?:,${LABEL})*),?)?\})?[ \t]+(${NUMBER})(?:[ \t]+-?\d+)?$`,
  "u",
);
const commentLine = /^# (HELP|TYPE) ([a-zA-Z_:][a-zA-Z0-9_:]*)(?: (.*))?$/;
const types: ReadonlySet<string> = new Set(["counter", "gauge", "histogram", "summary", "untyped"]);

/**
 * Takes a page in Prometheus' text format apart (version 0.0.4). It may come from anybody: what is not of that form is left out
 * and counted, so that it cannot spoil a page it becomes part of. Timestamps are left out, too: who scrapes sets his own.
 */
export function parseExposition(page: string): Exposition {
  const reader = new PageReader();
  for (const line of page.split("\n")) reader.read(line);
  return reader;
}

class PageReader implements Exposition {
  readonly families = new Map<string, Family>();
  refused = 0;
  readonly #help = new Map<string, string>();
  readonly #types = new Map<string, string>();
  readonly #seen = new Set<string>();

  read(line: string): void {
    if (line.startsWith("#")) this.#readComment(line);
    else if (line !== "" && !this.#readSample(line)) this.refused++;
  }

  #readComment(line: string): void {
    const [, kind, name, text = ""] = commentLine.exec(line) ?? [];
    const texts = kind === "HELP" ? this.#help : this.#types;
    if (name !== undefined && !texts.has(name)) texts.set(name, text.replace(/\p{Cc}/gu, " "));
  }

  #readSample(line: string): boolean {
    const [, name, labels = "", value] = sampleLine.exec(line) ?? [];
    const key = `${name}{${labels}}`;
    if (name === undefined || value === undefined || this.#seen.has(key) || this.#seen.size >= MAX_SAMPLES)
      return false;
    this.#seen.add(key);
    this.#familyOf(name).samples.push({ name, labels, value });
    return true;
  }

  #familyOf(sample: string): Family {
    const name = metricOf(sample, this.#types);
    const known = this.families.get(name);
    if (known !== undefined) return known;
    const type = this.#types.get(name) ?? "";
    const family = { name, type: types.has(type) ? type : "untyped", help: this.#help.get(name) ?? "", samples: [] };
    this.families.set(name, family);
    return family;
  }
}

/** The metric that a sample is of: the buckets, sum and count of a histogram have names of their own. */
function metricOf(sample: string, typed: ReadonlyMap<string, string>): string {
  const base = sample.replace(/_(?:bucket|sum|count)$/, "");
  if (base === sample || typed.has(sample)) return sample;
  const type = typed.get(base);
  return type === "histogram" || (type === "summary" && !sample.endsWith("_bucket")) ? base : sample;
}
