import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { until } from "./until.ts";

/** A Stratum V1 connection that sends whatever it is told, valid or not. */
export class Sv1Client implements Disposable {
  /** Lines received, parsed. */
  readonly received: {
    readonly id: unknown;
    readonly method?: string;
    readonly result?: unknown;
    readonly error?: unknown;
  }[] = [];
  readonly socket: Socket;
  #rest = "";

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.setEncoding("utf8").on("data", (text: string) => this.#receive(text));
    // A peer that hangs up on a writer is what many of these scenarios want.
    socket.on("error", () => {});
  }

  static async dial(address: string): Promise<Sv1Client> {
    const socket = connect(Number(address.slice(address.lastIndexOf(":") + 1)), "127.0.0.1");
    await once(socket, "connect");
    return new Sv1Client(socket);
  }

  /** Whether the connection is over, whoever ended it. */
  get isClosed(): boolean {
    return this.socket.closed || this.socket.readableEnded;
  }

  send(text: string): void {
    this.socket.write(text);
  }

  request(id: number, method: string, params: readonly unknown[]): void {
    this.send(`${JSON.stringify({ id, method, params })}\n`);
  }

  /** Resolves to the answer to a request. */
  async answer(id: number): Promise<{ readonly result?: unknown; readonly error?: unknown }> {
    return await until(`an answer to request ${id}`, () => this.received.find((line) => line.id === id), 20_000);
  }

  /** Resolves when the other side has ended the connection. */
  async closed(timeoutMs = 20_000): Promise<void> {
    await until("the translator closes the connection", () => this.isClosed, timeoutMs);
  }

  [Symbol.dispose](): void {
    this.socket.destroy();
  }

  #receive(text: string): void {
    const lines = (this.#rest + text).split("\n");
    this.#rest = lines.pop() ?? "";
    for (const line of lines) this.received.push(JSON.parse(line));
  }
}
