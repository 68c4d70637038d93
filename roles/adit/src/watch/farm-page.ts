import { type Exposition, parseExposition } from "./exposition.ts";

/** A metric as it stands on a page of many targets. */
interface PageFamily {
  readonly type: string;
  /** Empty when there is none. */
  readonly help: string;
  /** One sample a line. */
  readonly lines: readonly string[];
}

/** A target's metrics page, with the target's name in every sample. */
export interface TargetPage {
  readonly families: ReadonlyMap<string, PageFamily>;
  /** Lines of what it answered that could not be taken over. */
  readonly refused: number;
}

/**
 * Reads a target's page and gives each sample a label `target`. A label of that name that it has already becomes `exported_target`, as
 * Prometheus does it, so that nobody speaks for another. A sample that has that label, too, is left out: watches that watch
 * each other, or one that watches itself, would hand it around and around.
 */
export function targetPage(target: string, text: string): TargetPage {
  const page = parseExposition(text);
  return { families: familiesOf(page, (labels) => withTarget(target, labels)), refused: page.refused };
}

/**
 * One metrics page out of many: the watch's own samples as they are, and behind them those of the targets, no two of which have the same name. Each metric stands
 * once; a target whose metric is of another type than that of those before it does not come in there.
 */
export function farmPage(own: string, pages: readonly TargetPage[]): string {
  const first = familiesOf(parseExposition(own), (labels) => labels);
  const taken = new Set([...first.values()].flatMap(({ lines }) => lines.map(keyOf)));
  const merged = new Map<string, Omit<PageFamily, "lines"> & { readonly lines: (readonly string[])[] }>();
  for (const [name, family] of first) merged.set(name, { ...family, lines: [family.lines] });
  for (const { families } of pages) {
    for (const [name, family] of families) {
      const into = merged.get(name);
      if (into === undefined) merged.set(name, { ...family, lines: [family.lines] });
      else if (into.type === family.type) into.lines.push(first.has(name) ? free(family.lines, taken) : family.lines);
    }
  }
  return [...merged].map(([name, family]) => render(name, { ...family, lines: family.lines.flat() })).join("\n");
}

function familiesOf(
  { families }: Exposition,
  relabel: (labels: string) => string | undefined,
): ReadonlyMap<string, PageFamily> {
  const made = new Map<string, PageFamily>();
  for (const { name, type, help, samples } of families.values()) {
    const lines = samples.flatMap((sample) => {
      const labels = relabel(sample.labels);
      if (labels === undefined) return [];
      return [`${sample.name}${labels === "" ? "" : `{${labels}}`} ${sample.value}`];
    });
    if (lines.length > 0) made.set(name, { type, help, lines });
  }
  return made;
}

/** Puts the label first, and renames the one that was there before; undefined when there was one before that, too. */
function withTarget(target: string, labels: string): string | undefined {
  if (labels === "") return `target="${target}"`;
  const names = [...labels.matchAll(PAIR)].map(([, name]) => name);
  if (names.includes("exported_target")) return undefined;
  const renamed = labels.replace(PAIR, (pair, name: string) => (name === "target" ? `exported_${pair}` : pair));
  return `target="${target}",${renamed}`;
}

/** A label with its value; a quote within the value is escaped, so that none begins there. */
const PAIR = /([a-zA-Z_]\w*)="(?:[^"\\]|\\.)*"/g;

/** The lines of samples that are not there yet: a target cannot take the place of what the watch says of it. */
function free(lines: readonly string[], taken: ReadonlySet<string>): readonly string[] {
  return lines.filter((line) => !taken.has(keyOf(line)));
}

/** Name and labels of a sample's line. */
function keyOf(line: string): string {
  return line.slice(0, line.lastIndexOf(" "));
}

function render(name: string, { type, help, lines }: PageFamily): string {
  const head = [...(help === "" ? [] : [`# HELP ${name} ${help}`]), `# TYPE ${name} ${type}`];
  return `${[...head, ...lines].join("\n")}\n`;
}
