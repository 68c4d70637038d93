import { parseArgs } from "node:util";
import { ConfigError, loadConfig } from "@adit/role-kit";
import { type RunnableRole, roles } from "./roles.ts";

/**
 * `adit config check FILE`: loads the file as the named role would. Without `--role` the role is the one whose schema
 * accepts the file, else the one that objects to least.
 */
export async function checkConfig(argv: readonly string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...argv],
    options: { role: { type: "string" } },
    allowPositionals: true,
  });
  const [file] = positionals;
  const candidates = values.role === undefined ? roles : roles.filter(({ name }) => name === values.role);
  if (file === undefined || candidates.length === 0) {
    const names = roles.map(({ name }) => name).join(", ");
    process.stderr.write(`usage: adit config check FILE [--role ROLE], where ROLE is one of ${names}\n`);
    return 2;
  }
  const verdicts = await Promise.all(candidates.map(async (role) => ({ role, error: await objection(role, file) })));
  const best = verdicts.toSorted((a, b) => problems(a.error) - problems(b.error))[0];
  if (best === undefined) return 2;
  if (best.error === undefined) {
    process.stdout.write(`${file}: a valid ${best.role.name} config\n`);
    return 0;
  }
  process.stderr.write(`as a ${best.role.name} config:\n${best.error.message}\n`);
  return 1;
}

async function objection(role: RunnableRole, file: string): Promise<ConfigError | undefined> {
  try {
    await loadConfig(role, file, process.env);
    return undefined;
  } catch (error) {
    if (error instanceof ConfigError) return error;
    throw error;
  }
}

function problems(error: ConfigError | undefined): number {
  return error === undefined ? 0 : error.problems.length;
}
