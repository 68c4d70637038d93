import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { runAdit } from "../harness/command.ts";
import { until } from "../harness/until.ts";
import { ask } from "./served-channels.ts";

/** Roles of the reference implementation, by our name, and the programs that pnpm test:interop installs of them. */
const programs = { pool: "pool_sv2", translator: "translator_sv2", "jd-client": "jd_client_sv2" } as const;

/** A role of the reference implementation that there is a program for. */
export type ReferenceRoleName = keyof typeof programs;

const START_MS = 60_000;
const KEPT_OUTPUT = 1_000_000;

/** A new authority, in the spelling of config files: base58check. */
export interface AuthorityKeys {
  readonly public: string;
  readonly secret: string;
}

/** Made by `adit keys generate`, whose output the reference implementation must understand too. */
export async function newAuthority(): Promise<AuthorityKeys> {
  const { stdout } = await runAdit(["keys", "generate"]);
  const key = (name: string): string => {
    const [, found] = new RegExp(`${name} = "(\\w+)"`).exec(stdout) ?? [];
    if (found === undefined) throw new Error(`adit keys generate printed no ${name}`);
    return found;
  };
  return { public: key("authority_public_key"), secret: key("authority_secret_key") };
}

/** Where the reference roles are installed. Throws when nobody says. */
export function referenceFolder(): string {
  const folder = process.env["ADIT_INTEROP_ROLES"];
  if (folder !== undefined && folder !== "") return folder;
  throw new Error(
    "ADIT_INTEROP_ROLES does not say where the reference roles are: run these tests with pnpm test:interop",
  );
}

function programOf(name: ReferenceRoleName): string {
  const path = join(referenceFolder(), "bin", programs[name]);
  if (!existsSync(path)) throw new Error(`${path} is not installed: run these tests with pnpm test:interop`);
  return path;
}

/** A role of the reference implementation in a process of its own. Disposing it ends that, whatever state it is in. */
export class ReferenceRole implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #ended: Promise<unknown>;
  readonly #monitoring: string;
  #output = "";
  #isRunning = true;

  private constructor(program: string, config: string, monitoring: string) {
    this.#monitoring = monitoring;
    this.#child = spawn(program, ["-c", config], { stdio: ["ignore", "pipe", "pipe"] });
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.setEncoding("utf8").on("data", (text: string) => {
        this.#output = (this.#output + text).slice(-KEPT_OUTPUT);
      });
    }
    this.#ended = once(this.#child, "exit");
    this.#child.once("exit", () => {
      this.#isRunning = false;
    });
  }

  /** Starts a role in a folder of its own, with monitoring at an address that `toml` names too; resolves when it serves. */
  static async start(
    name: ReferenceRoleName,
    { folder, monitoring, toml }: { readonly folder: string; readonly monitoring: string; readonly toml: string },
  ): Promise<ReferenceRole> {
    await mkdir(folder, { recursive: true });
    const config = join(folder, `${name}.toml`);
    await writeFile(config, toml);
    const role = new ReferenceRole(programOf(name), config, monitoring);
    const serves = async (): Promise<boolean> => !role.#isRunning || (await role.isHealthy());
    await until(`their ${name} serves`, serves, START_MS);
    if (!role.#isRunning) throw new Error(`their ${name} ended: ${role.output.slice(-4000)}`);
    return role;
  }

  /** What it wrote last, to either stream. */
  get output(): string {
    return this.#output;
  }

  get isRunning(): boolean {
    return this.#isRunning;
  }

  async isHealthy(): Promise<boolean> {
    return (await this.monitor<{ readonly status: string }>("/api/v1/health")).status === "ok";
  }

  /** A document of its monitoring. */
  async monitor<T>(path: string): Promise<T> {
    return await ask<T>(this.#monitoring, path);
  }

  /** Ends it without a word. */
  async crash(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#ended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isRunning) await this.crash();
  }
}
