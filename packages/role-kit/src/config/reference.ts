import type { z } from "zod";
import { snakeKey } from "./key-case.ts";
import { alternatives, type SchemaNode, schemaView } from "./schema-view.ts";

/** What a reference page needs of a role. */
export interface ReferencedRole {
  readonly name: string;
  readonly title: string;
  readonly envPrefix: string;
  readonly config: z.ZodType;
}

/** The reference page of a role's config, in Markdown: every key with its type, default and meaning. */
export function configReference(role: ReferencedRole): string {
  const rows: string[] = [];
  addRows(rows, schemaView(role.config), "");
  return [
    `# ${role.name}: configuration`,
    "",
    `${role.title}. Every key of its TOML file, generated from the schema that checks it.`,
    `Any key can be overridden by an environment variable: \`${role.envPrefix}__\`, then the path in capitals with \`__\``,
    `between its parts (\`${role.envPrefix}__IROH__RELAY=disabled\`). Unknown keys are errors.`,
    "",
    "| key | type | default | meaning |",
    "|---|---|---|---|",
    ...rows,
    "",
  ].join("\n");
}

function addRows(rows: string[], node: SchemaNode, prefix: string): void {
  for (const [key, child] of Object.entries(node.properties ?? {})) {
    const path = prefix === "" ? snakeKey(key) : `${prefix}.${snakeKey(key)}`;
    const required = (node.required ?? []).includes(key);
    addRow(rows, child, { path, required });
  }
}

function addRow(rows: string[], node: SchemaNode, at: { path: string; required: boolean }): void {
  const choices = alternatives(node);
  const table = choices.find((choice) => choice.properties !== undefined);
  const list = choices.find((choice) => choice.items !== undefined);
  const listed =
    list?.items === undefined ? undefined : alternatives(list.items).find((item) => item.properties !== undefined);
  const fallback = node.default === undefined ? (at.required ? "required" : "none") : code(defaultText(node.default));
  rows.push(
    `| ${code(at.path)} | ${typeText(choices)} | ${fallback} | ${cell(node.description ?? table?.description ?? "")} |`,
  );
  if (table !== undefined) for (const choice of choices) addRows(rows, choice, at.path);
  if (listed !== undefined) addRows(rows, listed, `${at.path}[]`);
}

function typeText(choices: readonly SchemaNode[]): string {
  return [...new Set(choices.map(oneType))].join(" or ");
}

function oneType(node: SchemaNode): string {
  if (node.const !== undefined) return code(JSON.stringify(node.const));
  if (node.enum !== undefined) return node.enum.map((value) => code(JSON.stringify(value))).join(" or ");
  if (node.properties !== undefined) return "table";
  if (node.items !== undefined) return `list of ${typeText(alternatives(node.items))}`;
  const type = typeof node.type === "string" ? node.type : (node.type ?? ["any"]).join(" or ");
  return `${type === "number" ? "number" : type}${range(node)}`;
}

function range({ minimum, maximum }: SchemaNode): string {
  const low = minimum === undefined || minimum <= Number.MIN_SAFE_INTEGER ? undefined : minimum;
  const high = maximum === undefined || maximum >= Number.MAX_SAFE_INTEGER ? undefined : maximum;
  if (low === undefined && high === undefined) return "";
  if (high === undefined) return ` from ${low}`;
  return low === undefined ? ` up to ${high}` : ` ${low} to ${high}`;
}

function defaultText(value: unknown): string {
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  if (Array.isArray(value)) return JSON.stringify(value);
  return Object.keys(value).length === 0 ? "{}" : "see its keys";
}

function code(text: string): string {
  return `\`${cell(text)}\``;
}

function cell(text: string): string {
  return text.replaceAll("|", "\\|").replaceAll("\n", " ");
}
