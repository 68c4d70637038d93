import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { until } from "./until.ts";

/** A line that a {@link Sv1Client} heard. */
export interface Sv1Line {
  readonly id: unknown;
  readonly method?: string;
  readonly params?: readonly unknown[];
  readonly result?: unknown;
  readonly error?: unknown;
}

/** A Stratum V1 connection that sends whatever it is told, valid or not. */
export class Sv1Client implements Disposable {
  /** Lines received, parsed. */
  readonly received: Sv1Line[] = [];
  readonly socket: Socket;
  #rest = "";

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.setEncoding("utf8").on("data", (text: string) => this.#receive(text));
    // A peer that hangs up on a writer is what many of these scenarios want.
    socket.on("error", () => {});
  }

  /** `from`: address to connect from, any of 127.0.0.0/8. */
  static async dial(address: string, from = "127.0.0.1"): Promise<Sv1Client> {
    const port = Number(address.slice(address.lastIndexOf(":") + 1));
    const socket = connect({ port, host: "127.0.0.1", localAddress: from });
    await once(socket, "connect");
    return new Sv1Client(socket);
  }

  /** Whether the connection is over, whoever ended it. */
  get isClosed(): boolean {
    return this.socket.closed || this.socket.readableEnded;
  }

  send(data: string | Uint8Array): void {
    this.socket.write(data);
  }

  request(id: number, method: string, params: readonly unknown[]): void {
    this.send(`${JSON.stringify({ id, method, params })}\n`);
  }

  /** Resolves to the answer to a request. */
  async answer(id: number): Promise<{ readonly result?: unknown; readonly error?: unknown }> {
    return await until(`an answer to request ${id}`, () => this.received.find((line) => line.id === id), 20_000);
  }

  /** Asks and resolves to the answer. */
  async ask(id: number, method: string, params: readonly unknown[]): Promise<ReturnType<Sv1Client["answer"]>> {
    this.request(id, method, params);
    return await this.answer(id);
  }

  /** The newest notification of a method. */
  heard(method: string): Sv1Line | undefined {
    return this.received.findLast((line) => line.method === method);
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
    for (const line of lines) this.received.push(JSON.parse(line) as Sv1Line);
  }
}
