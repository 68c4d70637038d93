import { z } from "zod";

/** The part of a JSON schema that key suggestions, environment overrides and the reference page read. */
export interface SchemaNode {
  readonly type?: string | readonly string[];
  readonly description?: string;
  readonly default?: unknown;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly pattern?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly properties?: Readonly<Record<string, SchemaNode>>;
  readonly required?: readonly string[];
  readonly items?: SchemaNode;
  readonly anyOf?: readonly SchemaNode[];
  readonly oneOf?: readonly SchemaNode[];
}

/** A role's schema as the file's author sees it: inputs, with descriptions and defaults. */
export function schemaView(schema: z.ZodType): SchemaNode {
  return z.toJSONSchema(schema, { io: "input", unrepresentable: "any", reused: "inline" }) as SchemaNode;
}

/** The node itself and every alternative it offers. */
export function alternatives(node: SchemaNode): readonly SchemaNode[] {
  const choices = node.anyOf ?? node.oneOf;
  return choices === undefined ? [node] : choices.flatMap(alternatives);
}

/** The keys a table at `path` may hold, in camelCase; empty when the path is no table. */
export function keysAt(root: SchemaNode, path: readonly PropertyKey[]): readonly string[] {
  let nodes: readonly SchemaNode[] = alternatives(root);
  for (const part of path) {
    nodes = nodes.flatMap((node) => {
      const next = typeof part === "number" ? node.items : node.properties?.[String(part)];
      return next === undefined ? [] : alternatives(next);
    });
  }
  return nodes.flatMap((node) => Object.keys(node.properties ?? {}));
}
