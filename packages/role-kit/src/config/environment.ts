import { ConfigError, type ConfigProblem } from "./config-error.ts";
import { isTable, snakeKey } from "./key-case.ts";
import { alternatives, type SchemaNode } from "./schema-view.ts";

/** Environment variables as `process.env` has them. */
export type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Lays `PREFIX__KEY` variables over a config. Nesting is a double underscore, list items of a table list are numbered
 * (`TPROXY__UPSTREAMS__0__PORT`), lists of plain values are comma separated, and case does not matter.
 *
 * @throws ConfigError `config-invalid` for a variable that names no key of the schema.
 */
export function overlayEnvironment(
  config: unknown,
  root: SchemaNode,
  source: { prefix: string; env: Environment },
): unknown {
  const overlaid: unknown = structuredClone(config);
  const problems: ConfigProblem[] = [];
  for (const [variable, text] of Object.entries(source.env).toSorted(([a], [b]) => (a < b ? -1 : 1))) {
    const start = `${source.prefix}__`;
    if (text === undefined || !variable.toUpperCase().startsWith(start)) continue;
    const segments = variable.slice(start.length).split("__");
    if (!assign(overlaid, root, { segments, text })) {
      problems.push({ source: "environment", path: "", expected: `${variable} names no key of this role` });
    }
  }
  if (problems.length > 0) throw new ConfigError("config-invalid", problems);
  return overlaid;
}

function assign(container: unknown, node: SchemaNode, target: { segments: readonly string[]; text: string }): boolean {
  const [segment, ...rest] = target.segments;
  if (segment === undefined) return false;
  const step = /^\d+$/.test(segment) ? listStep(container, node, segment) : tableStep(container, node, segment);
  if (step === undefined) return false;
  if (rest.length === 0) {
    step.set(parseValue(target.text, step.node));
    return true;
  }
  return assign(step.enter(/^\d+$/.test(rest[0] ?? "")), step.node, { segments: rest, text: target.text });
}

interface Step {
  readonly node: SchemaNode;
  set(value: unknown): void;
  enter(asList: boolean): unknown;
}

function tableStep(container: unknown, node: SchemaNode, segment: string): Step | undefined {
  if (!isTable(container)) return undefined;
  for (const choice of alternatives(node)) {
    const key = Object.keys(choice.properties ?? {}).find(
      (name) => snakeKey(name).toUpperCase() === segment.toUpperCase() || name.toUpperCase() === segment.toUpperCase(),
    );
    const next = key === undefined ? undefined : choice.properties?.[key];
    if (key !== undefined && next !== undefined) return stepInto(container, key, next);
  }
  return undefined;
}

function listStep(container: unknown, node: SchemaNode, segment: string): Step | undefined {
  const items = alternatives(node).find((choice) => choice.items !== undefined)?.items;
  if (!Array.isArray(container) || items === undefined || Number(segment) > container.length) return undefined;
  return stepInto(container as unknown as Record<string, unknown>, segment, items);
}

function stepInto(container: Record<string, unknown>, key: string, node: SchemaNode): Step {
  return {
    node,
    set(value) {
      container[key] = value;
    },
    enter(asList) {
      container[key] ??= asList ? [] : {};
      return container[key];
    },
  };
}

/** Reads a variable as the schema's type; what does not fit stays text, so that the schema's own message is shown. */
function parseValue(text: string, node: SchemaNode): unknown {
  const choices = alternatives(node);
  const list = choices.find((choice) => choice.type === "array");
  if (list !== undefined && !choices.some((choice) => choice.enum?.includes(text) ?? choice.const === text)) {
    return text === "" ? [] : text.split(",").map((item) => parseValue(item.trim(), list.items ?? {}));
  }
  const types = choices.flatMap((choice) => choice.type ?? []);
  if (types.includes("boolean") && /^(true|false)$/i.test(text)) return text.toLowerCase() === "true";
  if ((types.includes("number") || types.includes("integer")) && /^-?\d+(\.\d+)?([eE][+-]?\d+)?$/.test(text))
    return Number(text);
  return text;
}
