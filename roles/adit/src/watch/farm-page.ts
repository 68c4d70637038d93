import { type Exposition, type Family, parseExposition, type Sample } from "./exposition.ts";

/** A target's page, and the name that its samples get. */
export interface NamedPage {
  readonly target: string;
  readonly page: Exposition;
}

/**
 * One metrics page out of many: the watch's own samples as they are, and behind them those of each target with a label `target`. A label
 * of that name that a sample has already becomes `exported_target`, as Prometheus does it, so that nobody speaks for another; one that has that label, too, is left
 * out: watches that watch each other, or one that watches itself, would hand it around and around. Each
 * metric stands once; a target whose metric is of another type than that of those before it does not come in there.
 */
export function farmPage(own: string, pages: readonly NamedPage[]): string {
  const merged = new Map<string, Family>();
  const seen = new Set<string>();
  const add = (from: Exposition, relabel: (labels: string) => string | undefined): void => {
    for (const family of from.families.values()) {
      const into = merged.get(family.name) ?? { ...family, samples: [] };
      if (into.type !== family.type) continue;
      merged.set(family.name, into);
      for (const sample of family.samples) {
        const labels = relabel(sample.labels);
        if (labels !== undefined) addOnce(into, { ...sample, labels }, seen);
      }
    }
  };
  add(parseExposition(own), (labels) => labels);
  for (const { target, page } of pages) add(page, (labels) => withTarget(target, labels));
  return [...merged.values()]
    .filter(({ samples }) => samples.length > 0)
    .map(render)
    .join("\n");
}

function addOnce(family: Family, sample: Sample, seen: Set<string>): void {
  const key = `${sample.name}{${sample.labels}}`;
  if (seen.has(key)) return;
  seen.add(key);
  family.samples.push(sample);
}

/** Puts the label first, and renames the one that was there before; undefined when there was one before that, too. */
function withTarget(target: string, labels: string): string | undefined {
  const names = [...labels.matchAll(PAIR)].map(([, name]) => name);
  if (names.includes("exported_target")) return undefined;
  const renamed = labels.replace(PAIR, (pair, name: string) => (name === "target" ? `exported_${pair}` : pair));
  return renamed === "" ? `target="${target}"` : `target="${target}",${renamed}`;
}

/** A label with its value; a quote within the value is escaped, so that none begins there. */
const PAIR = /([a-zA-Z_]\w*)="(?:[^"\\]|\\.)*"/g;

function render({ name, type, help, samples }: Family): string {
  const head = [...(help === "" ? [] : [`# HELP ${name} ${help}`]), `# TYPE ${name} ${type}`];
  const lines = samples.map((sample) => {
    const labels = sample.labels === "" ? "" : `{${sample.labels}}`;
    return `${sample.name}${labels} ${sample.value}`;
  });
  return `${[...head, ...lines].join("\n")}\n`;
}
