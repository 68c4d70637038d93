import { version } from "@adit/role-kit";
import { checkConfig } from "./check-config.ts";
import { demoCommand } from "./demo/command.ts";
import { generateKeys } from "./generate-keys.ts";
import { rpcKey } from "./operator/client-key.ts";
import { controlCommand } from "./operator/control-command.ts";
import { statusCommand } from "./operator/status-command.ts";
import { topCommand } from "./operator/top-command.ts";
import { roles } from "./roles.ts";
import { rotateKeys } from "./rotate-key.ts";

/** Runs the command line after `adit`. @returns the exit code. */
export async function adit(argv: readonly string[]): Promise<number> {
  const [command, ...rest] = argv;
  const role = roles.find(({ name }) => name === command);
  if (role !== undefined) return await role.start(rest);
  const call = calls.find(({ name }) => name === command);
  if (call !== undefined) return await reporting(`adit ${call.name}`, call.run(rest));
  switch (command) {
    case "demo":
      return await demoCommand(rest);
    case "keys":
      return await subcommand("keys", rest, { generate: generateKeys, rotate: rotateKeys, rpc: rpcKey });
    case "config":
      return await subcommand("config", rest, { check: checkConfig });
    case "-V":
    case "--version":
      process.stdout.write(`${version}\n`);
      return 0;
    case undefined:
    case "-h":
    case "--help":
    case "help":
      process.stdout.write(help());
      return 0;
    default:
      process.stderr.write(`adit: there is no command ${command}\n\n${help()}`);
      return 2;
  }
}

/** The commands that call a running role. */
const calls: readonly { readonly name: string; readonly run: Command }[] = [
  { name: "status", run: statusCommand },
  { name: "top", run: topCommand },
  { name: "control", run: controlCommand },
];

type Command = (argv: readonly string[]) => Promise<number>;

async function subcommand(
  name: string,
  argv: readonly string[],
  known: Readonly<Record<string, Command>>,
): Promise<number> {
  const [verb, ...rest] = argv;
  const run = verb !== undefined && Object.hasOwn(known, verb) ? known[verb] : undefined;
  if (run !== undefined) return await reporting(`adit ${name} ${verb}`, run(rest));
  process.stderr.write(`adit ${name}: expected one of: ${Object.keys(known).join(", ")}\n`);
  return 2;
}

/** A fault as one line for the person at the terminal: exit code 2 for flags that do not exist, 1 for the rest. */
async function reporting(command: string, running: Promise<number>): Promise<number> {
  try {
    return await running;
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    process.stderr.write(`${command}: ${message}\n`);
    return code?.startsWith("ERR_PARSE_ARGS") === true ? 2 : 1;
  }
}

function help(): string {
  const width = Math.max(...roles.map(({ name }) => name.length));
  const lines = roles.map(({ name, title }) => `  adit ${name.padEnd(width)} -c FILE   ${title}`);
  return `adit ${version}: Stratum V2 roles over TCP or Iroh

${lines.join("\n")}

  adit demo [--blocks N] [--json] [--timeout SECONDS] [--dir DIR]
                 runs a template provider, a pool, a translator and a miner on this machine
  adit keys generate [--out FILE]
                 makes an authority key pair; with --out keeps the secret in FILE
  adit keys rotate FILE [--overlap 30d] [--finish]
                 gives the Iroh node of a config, or of a key file, a new key; both ids answer during the overlap
  adit keys rpc [--key FILE]
                 prints the endpoint id of the operator's key, for allowed_peers in a role's [rpc] table
  adit config check FILE [--role ROLE]
                 says what is wrong with a config file, or that nothing is
  adit status TARGET... [--json] [--entries N]
                 asks running roles how they are
  adit top TARGET... [--interval SECONDS]
                 shows running roles live
  adit control TARGET drain | reload | log-level LEVEL | disconnect CONNECTION
                 stops or changes a running role
                 TARGET: an endpoint id, a ticket, or http://HOST:PORT of a role's monitoring
                 with [--key FILE] [--relay default|disabled|URL] [--timeout SECONDS]
                 or, in place of TARGET, -c FILE of adit watch, and [--target NAME]... of it; control takes --all, too
`;
}
