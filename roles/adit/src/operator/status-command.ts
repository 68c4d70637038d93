import { parseArgs } from "node:util";
import { clientOf } from "@adit/network-helpers/rpc";
import { peerText } from "@adit/role-kit";
import { statusService } from "@adit/role-network";
import { operatorFlags, UsageError } from "./flags.ts";
import { type CommandFleet, openFleet } from "./open-fleet.ts";
import { type Selection, selectTargets } from "./selection.ts";
import { renderStatus, type StatusAnswer } from "./status-view.ts";

const USAGE = "usage: adit status TARGET... | -c FILE [--target NAME]... [--json] [--entries N]";

/** `adit status TARGET...`: asks roles once how they are. */
export async function statusCommand(argv: readonly string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...argv],
    options: { ...operatorFlags, json: { type: "boolean" }, entries: { type: "string" } },
    allowPositionals: true,
  });
  if (positionals.length === 0 && values.config === undefined) throw new UsageError(USAGE);
  const entries = Number(values.entries ?? 100);
  if (!(Number.isInteger(entries) && entries >= 0 && entries <= 10_000)) {
    throw new UsageError("--entries takes a whole number from 0 to 10000");
  }
  const selection = await selectTargets(positionals, values);
  await using command = openFleet(selection);
  const isOnly = selection.targets.length === 1 && values.config === undefined;
  const answers = await askAll(selection, command, entries);
  if (isOnly) return showOnly(answers, values.json === true);
  for (const answer of answers) process.stdout.write(values.json === true ? jsonLine(answer) : page(answer));
  return answers.every(({ status }) => status !== undefined) ? 0 : 1;
}

interface Answer {
  readonly name: string;
  readonly status?: StatusAnswer;
  /** Why there is none. */
  readonly trouble?: string;
}

async function askAll(
  { targets }: Selection,
  { fleet, operator }: CommandFleet,
  entries: number,
): Promise<readonly Answer[]> {
  const { signal } = new AbortController();
  return await Promise.all(
    targets.map(async ({ name }): Promise<Answer> => {
      try {
        const ask = fleet.call(name, (caller, options) => clientOf(statusService, caller).get({ entries }, options), {
          signal,
        });
        return { name, status: await ask };
      } catch (error) {
        return { name, trouble: await operator.explain(error) };
      }
    }),
  );
}

/** One target of a command line: its answer alone, or its trouble as that of the command. */
function showOnly([answer]: readonly Answer[], json: boolean): number {
  if (answer?.status === undefined) throw new Error(answer?.trouble);
  const { status } = answer;
  process.stdout.write(json ? `${JSON.stringify(status)}\n` : `${renderStatus(status).join("\n")}\n`);
  return 0;
}

function jsonLine({ name, status, trouble }: Answer): string {
  return `${JSON.stringify({ target: name, status: status ?? null, trouble: trouble ?? null })}\n`;
}

function page({ name, status, trouble }: Answer): string {
  if (status === undefined) return `${name}  no answer\n  ${peerText(trouble ?? "", MAX_TROUBLE)}\n\n`;
  return `${name}  ${renderStatus(status).join("\n")}\n\n`;
}

/** Longest text about one target's trouble. */
const MAX_TROUBLE = 512;
