import { type ChildProcessByStdio, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import type { Reachable } from "../harness/dial.ts";
import { freePort } from "../harness/free-port.ts";
import type { TestRole } from "../harness/test-role.ts";
import { until } from "../harness/until.ts";
import { peerBinary } from "./peer-binary.ts";
import type { AuthorityKeys } from "./reference-role.ts";
import { type ServedChannels, servedChannels } from "./served-channels.ts";

/** What the judge behind their job-declarator server says, a line each. */
export type JudgeLine =
  | { readonly ready: true }
  /** Transactions that it has asked for. */
  | { readonly asked: number }
  | { readonly declared: DeclaredLine }
  /** The error code of the refusal. */
  | { readonly declaration_refused: string }
  /** "taken", or the error code of the refusal. */
  | { readonly custom_job: string }
  /** The block that a pushed solution makes; null when it makes none of any declared job. */
  | { readonly solution: { readonly hash: string; readonly transactions: number } | null };

/** A declaration that was taken. */
export interface DeclaredLine {
  readonly transactions: number;
  /** How many of them came with the answer to the question for them. */
  readonly given: number;
  readonly extranonce_size: number;
  /** Of the coinbase. */
  readonly outputs: readonly { readonly value: number; readonly script: string }[];
}

/** What the judge can be told; each holds until the next of its kind. */
export type JudgeOrder =
  | { readonly do: "refuse_declarations"; readonly yes: boolean }
  | { readonly do: "refuse_custom_jobs"; readonly yes: boolean }
  | { readonly do: "forget_transactions" };

/** Their pool's payout script, as a descriptor and in hex. */
export const REWARD = {
  descriptor: "addr(bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080)",
  script: "0014751e76e8199196d454941c45d1b3a323f1433bd6",
} as const;
/** Shares a minute that their pool holds each channel at. */
export const SHARES_PER_MINUTE = 240;
const START_MS = 60_000;
const KEPT_LINES = 100_000;

/** What a {@link JdsPeer} is started with. */
export interface JdsPeerOptions {
  /** Folder for its config file. */
  readonly folder: string;
  /** Where its templates come from. */
  readonly templateProvider: TestRole;
  readonly authority: AuthorityKeys;
}

interface Ports {
  readonly pool: number;
  readonly jds: number;
  readonly monitoring: number;
}

/**
 * The reference implementation's pool with its job-declarator server, in a process of its own, and with a judge of declared
 * jobs that can be told what to do. Started again it has its addresses, and nothing else of before. Disposing it ends it.
 */
export class JdsPeer implements AsyncDisposable {
  /** The pool, as something to dial. */
  readonly pool: Reachable;
  /** The job-declarator server, as something to dial. */
  readonly jds: Reachable;
  readonly #options: JdsPeerOptions;
  readonly #ports: Ports;
  readonly #lines: JudgeLine[] = [];
  #child: ChildProcessByStdio<Writable, Readable, Readable> | undefined;
  #complaint = "";

  private constructor(options: JdsPeerOptions, ports: Ports) {
    this.#options = options;
    this.#ports = ports;
    this.pool = reachable(ports.pool, options.authority);
    this.jds = reachable(ports.jds, options.authority);
  }

  /** Starts it; resolves when it serves. */
  static async start(options: JdsPeerOptions): Promise<JdsPeer> {
    const ports = { pool: await freePort(), jds: await freePort(), monitoring: await freePort() };
    const peer = new JdsPeer(options, ports);
    await peer.restart();
    return peer;
  }

  /** What the judge has said so far, in all its lives. */
  get lines(): readonly JudgeLine[] {
    return this.#lines;
  }

  /** Everything of one kind that the judge has said. */
  said<Key extends string>(key: Key): readonly Extract<JudgeLine, { readonly [key in Key]: unknown }>[Key][] {
    type Line = Extract<JudgeLine, { readonly [key in Key]: unknown }>;
    return this.#lines.filter((line): line is Line => key in line).map((line) => line[key]);
  }

  /** Tells the judge what to do. */
  order(order: JudgeOrder): void {
    this.#child?.stdin.write(`${JSON.stringify(order)}\n`);
  }

  /** The open channels of its miners. */
  async channels(): Promise<ServedChannels> {
    return await servedChannels(`127.0.0.1:${this.#ports.monitoring}`);
  }

  /** Ends it without a word. */
  async crash(): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (child === undefined || child.exitCode !== null) return;
    child.kill("SIGKILL");
    await once(child, "exit");
  }

  /** Starts it again where it was; resolves when it serves. */
  async restart(): Promise<void> {
    await this.crash();
    const { folder } = this.#options;
    await mkdir(folder, { recursive: true });
    const config = join(folder, "pool.toml");
    await writeFile(config, this.#toml());
    const child = spawn(peerBinary("jds-peer"), ["-c", config], { stdio: ["pipe", "pipe", "pipe"] });
    this.#child = child;
    const from = this.#lines.length;
    createInterface({ input: child.stdout }).on("line", (line) => this.#hear(line));
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      this.#complaint = (this.#complaint + text).slice(-4096);
    });
    const isReady = (): boolean => this.#lines.slice(from).some((line) => "ready" in line);
    await until("jds-peer serves", () => isReady() || child.exitCode !== null, START_MS);
    if (!isReady()) throw new Error(`jds-peer ended: ${this.#complaint}`);
    // Their pool lets nobody in before it has work.
    await until("jds-peer shows its channels", async () => await this.channels());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.crash();
  }

  #hear(line: string): void {
    if (this.#lines.length >= KEPT_LINES) throw new Error(`jds-peer has said more than ${KEPT_LINES} lines`);
    this.#lines.push(JSON.parse(line) as JudgeLine);
  }

  #toml(): string {
    const { templateProvider, authority } = this.#options;
    return `
authority_public_key = "${authority.public}"
authority_secret_key = "${authority.secret}"
cert_validity_sec = 3600
listen_address = "127.0.0.1:${this.#ports.pool}"
coinbase_reward_script = "${REWARD.descriptor}"
server_id = 1
pool_signature = "reference"
shares_per_minute = ${SHARES_PER_MINUTE}.0
share_batch_size = 1
supported_extensions = [0x0002]
monitoring_address = "127.0.0.1:${this.#ports.monitoring}"
monitoring_cache_refresh_secs = 1

[jds]
listen_address = "127.0.0.1:${this.#ports.jds}"

[template_provider_type.Sv2Tp]
address = "${templateProvider.listener("tcp").address}"
public_key = "${templateProvider.details.authority_public_key}"
`;
  }
}

function reachable(port: number, authority: AuthorityKeys): Reachable {
  return {
    details: { authority_public_key: authority.public },
    listener: (transport) => {
      if (transport !== "tcp") throw new Error("the reference implementation speaks TCP only");
      return { address: `127.0.0.1:${port}`, endpoint_id: null, ticket: null };
    },
  };
}
