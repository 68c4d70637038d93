import { parseArgs } from "node:util";
import { type Caller, type CallOptions, clientOf } from "@adit/network-helpers/rpc";
import { type LogLevel, logLevels, peerText } from "@adit/role-kit";
import { controlService } from "@adit/role-network";
import { operatorFlags, UsageError } from "./flags.ts";
import { openFleet } from "./open-fleet.ts";
import { orderAll } from "./order-all.ts";
import { selectTargets } from "./selection.ts";

const USAGE = `usage: adit control TARGET | -c FILE --target NAME... | -c FILE --all  drain | reload | log-level ${logLevels.join("|")} | disconnect CONNECTION`;

/** What an operator has a role do. */
export interface Action {
  /** Whether a role that has heard it, and did not get to answer, may hear it once more. */
  readonly repeatable: boolean;
  /** Does it; resolves to what there is to say about it. */
  readonly run: (caller: Caller, options: CallOptions) => Promise<string>;
}

/** `adit control TARGET ACTION`: stops or changes a role, or those of a config file. */
export async function controlCommand(argv: readonly string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...argv],
    options: { ...operatorFlags, all: { type: "boolean" } },
    allowPositionals: true,
  });
  const texts = values.config === undefined ? positionals.slice(0, 1) : [];
  const [name, argument, ...more] = positionals.slice(texts.length);
  const action = more.length > 0 ? undefined : actionOf(name, argument);
  // A file's roles are never all meant because nobody was named.
  const isClear = values.config === undefined || (values.target === undefined) === (values.all === true);
  if (action === undefined || !isClear) throw new UsageError(USAGE);
  const selection = await selectTargets(texts, values);
  if (values.config !== undefined) return await orderAll(selection, action);
  return await orderOne(selection, action);
}

/** Has one role do it now, or fails now. */
async function orderOne(selection: Parameters<typeof openFleet>[0], action: Action): Promise<number> {
  const { signal } = new AbortController();
  await using command = openFleet(selection);
  const { fleet, operator } = command;
  try {
    const [name = ""] = fleet.names;
    process.stdout.write(`${await fleet.call(name, action.run, { signal })}\n`);
    return 0;
  } catch (error) {
    throw new Error(await operator.explain(error), { cause: error });
  }
}

function actionOf(name: string | undefined, argument: string | undefined): Action | undefined {
  const id = Number(argument);
  if (name === "drain" && argument === undefined) return { repeatable: false, run: drain };
  if (name === "reload" && argument === undefined) return { repeatable: true, run: reload };
  if (name === "log-level" && isLogLevel(argument)) {
    return { repeatable: true, run: (...call) => setLogLevel(argument, call) };
  }
  if (name === "disconnect" && argument !== undefined && Number.isInteger(id)) {
    return { repeatable: false, run: (...call) => disconnect(id, call) };
  }
  return undefined;
}

function isLogLevel(text: string | undefined): text is LogLevel {
  return logLevels.some((level) => level === text);
}

async function drain(caller: Caller, options: CallOptions): Promise<string> {
  await clientOf(controlService, caller).drain({}, options);
  return "draining: the role finishes what is under way and stops";
}

async function reload(caller: Caller, options: CallOptions): Promise<string> {
  const { result, applied, needs_restart, problems } = await clientOf(controlService, caller).reload({}, options);
  const lines = (name: string, texts: readonly string[]): readonly string[] =>
    texts.map((text) => `${name} ${peerText(text)}`);
  if (result === "refused") throw new Error(["refused, nothing has changed", ...lines(" ", problems)].join("\n"));
  const changes = [...lines("in force:", applied), ...lines("needs a restart:", needs_restart)];
  return [result, ...changes, ...lines("problem:", problems)].join("\n");
}

async function setLogLevel(level: LogLevel, [caller, options]: Parameters<Action["run"]>): Promise<string> {
  const { before } = await clientOf(controlService, caller).log_level({ level }, options);
  return `log level ${level}, before ${peerText(before)}`;
}

async function disconnect(id: number, [caller, options]: Parameters<Action["run"]>): Promise<string> {
  const { peer } = await clientOf(controlService, caller).disconnect({ id }, options);
  return `disconnected ${peerText(peer)}`;
}
