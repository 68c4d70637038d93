import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { ClientMessage, ClientRequest } from "./client.ts";
import type { Amounts } from "./conditions.ts";
import type { Link, Place } from "./link.ts";
import type { Measured } from "./measured.ts";
import type { ServerMessage } from "./server.ts";

/** A server and a client, each in a process of its own and at its end of a link. */
export class Pair implements AsyncDisposable {
  /** Numbers of the variants that can be measured. */
  readonly variants: readonly number[];
  readonly #server: ChildProcess;
  readonly #client: ChildProcess;

  private constructor(server: ChildProcess, client: ChildProcess, variants: readonly number[]) {
    this.#server = server;
    this.#client = client;
    this.variants = variants;
  }

  /** Starts both. `maxConnections` is what the server's Iroh node lets one peer hold. */
  static async start(link: Link, maxConnections: number): Promise<Pair> {
    const server = start("./server.ts", link.server, [String(maxConnections)]);
    const ready = await next<ServerMessage>(server);
    if (ready.type !== "ready") throw new Error("the server did not become ready");
    const where = [JSON.stringify(ready.addresses), JSON.stringify(ready.authority)];
    const client = start("./client.ts", link.client, [String(maxConnections), ...where]);
    await next<ClientMessage>(client);
    return new Pair(
      server,
      client,
      [...ready.addresses.keys()].filter((at) => ready.addresses[at] !== null),
    );
  }

  /** One round of measurements over a variant. */
  async measure(variant: number, amounts: Amounts): Promise<Measured> {
    const answer = await this.#ask({ type: "measure", variant, amounts });
    if (answer.type !== "measured") throw new Error("the client answers something else");
    return answer.measured;
  }

  /** Bytes of the server's memory that one more connection takes. */
  async serverBytesPerConnection(variant: number, connections: number): Promise<number> {
    // The first ones bring what all share: compiled code, buffers of the runtime.
    await this.#ask({ type: "hold", variant, connections: Math.ceil(connections / 4) });
    const before = await this.#serverBytes();
    await this.#ask({ type: "hold", variant, connections });
    return ((await this.#serverBytes()) - before) / connections;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of [this.#client, this.#server]) {
      const exited = once(child, "exit");
      if (child.connected) child.disconnect();
      if (child.exitCode === null) await exited;
    }
  }

  async #ask(request: ClientRequest): Promise<ClientMessage> {
    this.#client.send(request);
    return await next<ClientMessage>(this.#client);
  }

  async #serverBytes(): Promise<number> {
    this.#server.send("rss");
    const answer = await next<ServerMessage>(this.#server);
    if (answer.type !== "rss") throw new Error("the server answers something else");
    return answer.bytes;
  }
}

function start(file: string, { host, enter }: Place, args: readonly string[]): ChildProcess {
  const node = [process.execPath, ...process.execArgv, "--expose-gc", fileURLToPath(new URL(file, import.meta.url))];
  const [command = process.execPath, ...rest] = [...enter, ...node, host, ...args];
  return spawn(command, rest, { stdio: ["ignore", "inherit", "inherit", "ipc"] });
}

async function next<Message>(child: ChildProcess): Promise<Message> {
  const controller = new AbortController();
  const { signal } = controller;
  const ended = async (): Promise<never> => {
    await once(child, "exit", { signal });
    throw new Error("a process of the benchmark ended; what it said is above");
  };
  try {
    const [message] = (await Promise.race([once(child, "message", { signal }), ended()])) as [Message];
    return message;
  } finally {
    // Takes the listener of the one that lost off the child.
    controller.abort();
  }
}
