import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { fetchFrom } from "../harness/place.ts";
import { sourceFlags } from "../harness/test-role.ts";
import { until } from "../harness/until.ts";
import { MIDDLE } from "./internet.ts";
import type { Namespace } from "./namespace.ts";

const PORT = 3340;
/** Where every relay of these tests is reached. */
export const RELAY_URL = `http://${MIDDLE}:${PORT}/`;

/** iroh's own relay server; without one, `pnpm test:nat` could not build it. */
const server = process.env["ADIT_NAT_RELAY"] ?? "";
const testServer = fileURLToPath(
  new URL("../../../packages/network-helpers/src/iroh/testing/relay-server.ts", import.meta.url),
);

/** A relay in the middle of an internet: iroh's own, or the one of this repository's unit tests where that is missing. */
export class Relay implements AsyncDisposable {
  readonly #middle: Namespace;
  readonly #folder: string;
  #child: ChildProcess | undefined;

  private constructor(middle: Namespace, folder: string) {
    this.#middle = middle;
    this.#folder = folder;
  }

  /** Resolves when it serves. `folder`: for its config. */
  static async start(middle: Namespace, folder: string): Promise<Relay> {
    const relay = new Relay(middle, folder);
    await relay.start();
    return relay;
  }

  /** Starts it where it was, with nothing known of its clients. Resolves when it serves. */
  async start(): Promise<void> {
    const [command = "", ...args] = [...this.#middle.prefix, ...(await this.#program())];
    const child = spawn(command, args, { stdio: ["ignore", "ignore", "inherit"] });
    this.#child = child;
    await until("the relay serves", async () => {
      if (child.exitCode !== null) throw new Error(`the relay ended with ${child.exitCode}`);
      return (await fetchFrom(this.#middle, `http://127.0.0.1:${PORT}/ping`, AbortSignal.timeout(1000))).ok;
    });
  }

  /** Ends it without a word to its clients. */
  async kill(): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (child === undefined || !child.kill("SIGKILL")) return;
    if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
  }

  async #program(): Promise<readonly string[]> {
    if (server === "") return [process.execPath, ...sourceFlags, testServer, "0.0.0.0", String(PORT)];
    const config = join(this.#folder, "relay.toml");
    await writeFile(config, `http_bind_addr = "0.0.0.0:${PORT}"\nenable_metrics = false\n`);
    return [server, "--config-path", config];
  }
}
