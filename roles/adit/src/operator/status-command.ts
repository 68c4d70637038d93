import { parseArgs } from "node:util";
import { type Caller, clientOf } from "@adit/network-helpers/rpc";
import { statusService } from "@adit/role-network";
import { operatorFlags, operatorOptions, UsageError } from "./flags.ts";
import { Operator, parseTarget } from "./operator.ts";
import { renderStatus } from "./status-view.ts";

/** `adit status TARGET`: asks a role once how it is. */
export async function statusCommand(argv: readonly string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...argv],
    options: { ...operatorFlags, json: { type: "boolean" }, entries: { type: "string" } },
    allowPositionals: true,
  });
  const [target, ...more] = positionals;
  if (target === undefined || more.length > 0) throw new UsageError("usage: adit status TARGET [--json] [--entries N]");
  const entries = Number(values.entries ?? 100);
  if (!(Number.isInteger(entries) && entries >= 0 && entries <= 10_000)) {
    throw new UsageError("--entries takes a whole number from 0 to 10000");
  }
  return await callOnce(target, values, async (caller, options) => {
    const status = await clientOf(statusService, caller).get({ entries }, options);
    process.stdout.write(values.json === true ? `${JSON.stringify(status)}\n` : `${renderStatus(status).join("\n")}\n`);
  });
}

/** Connects to a target, has `call` call it, and closes. A failure is an error whose message says what to do. */
export async function callOnce(
  text: string,
  values: Parameters<typeof operatorOptions>[0],
  call: (caller: Caller, options: { readonly signal: AbortSignal; readonly deadlineMs: number }) => Promise<void>,
): Promise<number> {
  const options = operatorOptions(values);
  const target = parseTarget(text);
  const { signal } = new AbortController();
  await using operator = new Operator([target], options);
  try {
    await using connected = await operator.connect(target, signal);
    await call(connected.caller, { signal, deadlineMs: options.timeoutMs });
    return 0;
  } catch (error) {
    throw new Error(await operator.explain(error), { cause: error });
  }
}
