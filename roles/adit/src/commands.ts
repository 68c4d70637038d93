import { version } from "@adit/role-kit";
import { checkConfig } from "./check-config.ts";
import { demoCommand } from "./demo/command.ts";
import { generateKeys } from "./generate-keys.ts";
import { roles } from "./roles.ts";
import { rotateKeys } from "./rotate-key.ts";

/** Runs the command line after `adit`. @returns the exit code. */
export async function adit(argv: readonly string[]): Promise<number> {
  const [command, ...rest] = argv;
  const role = roles.find(({ name }) => name === command);
  if (role !== undefined) return await role.start(rest);
  switch (command) {
    case "demo":
      return await demoCommand(rest);
    case "keys":
      return await subcommand("keys", rest, { generate: generateKeys, rotate: rotateKeys });
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
  adit config check FILE [--role ROLE]
                 says what is wrong with a config file, or that nothing is
`;
}
