import { parseArgs } from "node:util";
import { type Caller, type CallOptions, clientOf } from "@adit/network-helpers/rpc";
import { type LogLevel, logLevels, peerText } from "@adit/role-kit";
import { controlService } from "@adit/role-network";
import { operatorFlags, UsageError } from "./flags.ts";
import { callOnce } from "./status-command.ts";

const USAGE = `usage: adit control TARGET drain | reload | log-level ${logLevels.join("|")} | disconnect CONNECTION`;

type Action = (caller: Caller, options: CallOptions) => Promise<string>;

/** `adit control TARGET ACTION`: stops or changes a role. */
export async function controlCommand(argv: readonly string[]): Promise<number> {
  const { values, positionals } = parseArgs({ args: [...argv], options: operatorFlags, allowPositionals: true });
  const [target, name, argument, ...more] = positionals;
  const action = more.length > 0 ? undefined : actionOf(name, argument);
  if (target === undefined || action === undefined) throw new UsageError(USAGE);
  return await callOnce(target, values, async (caller, options) => {
    process.stdout.write(`${await action(caller, options)}\n`);
  });
}

function actionOf(name: string | undefined, argument: string | undefined): Action | undefined {
  const id = Number(argument);
  if (name === "drain" && argument === undefined) return drain;
  if (name === "reload" && argument === undefined) return reload;
  if (name === "log-level" && isLogLevel(argument)) return (...call) => setLogLevel(argument, call);
  if (name === "disconnect" && argument !== undefined && Number.isInteger(id)) return (...call) => disconnect(id, call);
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

async function setLogLevel(level: LogLevel, [caller, options]: Parameters<Action>): Promise<string> {
  const { before } = await clientOf(controlService, caller).log_level({ level }, options);
  return `log level ${level}, before ${peerText(before)}`;
}

async function disconnect(id: number, [caller, options]: Parameters<Action>): Promise<string> {
  const { peer } = await clientOf(controlService, caller).disconnect({ id }, options);
  return `disconnected ${peerText(peer)}`;
}
