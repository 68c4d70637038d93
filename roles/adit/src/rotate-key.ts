import { parseArgs } from "node:util";
import { endRotation, rotateKey } from "@adit/network-helpers/iroh";
import { ConfigError, loadConfig } from "@adit/role-kit";
import { roles } from "./roles.ts";

const UNITS_MS: Readonly<Record<string, number>> = { m: 60_000, h: 3_600_000, d: 86_400_000 };
const MAX_OVERLAP_MS = 366 * 86_400_000;

const USAGE = `usage: adit keys rotate FILE [--overlap 30d] [--finish]
FILE is a config, whose [iroh] secret_key_path names the key, or a key file itself.
An overlap is a number of days, hours or minutes, at most 366 days: 30d, 12h, 45m.
`;

/**
 * `adit keys rotate`: gives an Iroh node a new key. The former endpoint id is answered until the overlap is over, or until
 * `--finish` removes its key. No key is ever printed.
 */
export async function rotateKeys(argv: readonly string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...argv],
    options: { overlap: { type: "string", default: "30d" }, finish: { type: "boolean", default: false } },
    allowPositionals: true,
  });
  const [file, ...rest] = positionals;
  const overlapMs = durationMs(values.overlap);
  if (file === undefined || rest.length > 0 || overlapMs === undefined) {
    process.stderr.write(USAGE);
    return 2;
  }
  const path = await keyPathOf(file);
  return values.finish ? await finish(path) : await rotate(path, overlapMs);
}

async function rotate(path: string, overlapMs: number): Promise<number> {
  const { endpointId, former } = await rotateKey(path, { overlapMs, now: Date.now() });
  const warning =
    process.env["IROH_SECRET"] === undefined
      ? ""
      : "IROH_SECRET is set here: roles started with it ignore this file.\n";
  process.stdout.write(`${warning}endpoint_id = "${endpointId}"
former_endpoint_id = "${former.endpointId}"
former_until = "${new Date(former.until).toISOString()}"

Send SIGHUP to the role that uses ${path}, or restart it: it then answers under both.
Give the new endpoint id to whoever dials the former one (the role's log names them), and put it into the
allowed_peers of the roles that this one dials, before the former one ends.
`);
  return 0;
}

async function finish(path: string): Promise<number> {
  const former = await endRotation(path);
  if (former === undefined) {
    process.stdout.write(`${path} has no former key: there is nothing to finish\n`);
    return 0;
  }
  const early = former.until > Date.now() ? `, before ${new Date(former.until).toISOString()}` : "";
  process.stdout.write(
    `former key of ${former.endpointId} removed${early}; send SIGHUP to the role that uses ${path}\n`,
  );
  return 0;
}

/** The key file itself, or the one that a config of any role names. Error when a config is none of a role with Iroh. */
async function keyPathOf(file: string): Promise<string> {
  if (!file.endsWith(".toml")) return file;
  for (const role of roles) {
    try {
      const { iroh } = (await loadConfig(role, file, process.env)) as {
        readonly iroh?: { readonly secretKeyPath: string };
      };
      if (iroh !== undefined) return iroh.secretKeyPath;
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
    }
  }
  throw new Error(`${file} is no config of a role with [iroh]; "adit config check ${file}" says what is wrong with it`);
}

function durationMs(text: string): number | undefined {
  const [, count, unit = ""] = /^(\d{1,6})([mhd])$/.exec(text) ?? [];
  const ms = Number(count) * (UNITS_MS[unit] ?? Number.NaN);
  return ms <= MAX_OVERLAP_MS ? ms : undefined;
}
