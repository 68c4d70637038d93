import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { connect, createServer, type Server, type Socket } from "node:net";

/** A cable between two programs on TCP that can be cut. */
export class TcpRelay implements AsyncDisposable {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #isCut = false;

  private constructor(server: Server, to: number) {
    this.#server = server;
    server.on("connection", (near) => this.#join(near, to));
  }

  /** Lays one to host:port of 127.0.0.1. */
  static async start(to: string): Promise<TcpRelay> {
    const server = createServer();
    const relay = new TcpRelay(server, Number(to.slice(to.lastIndexOf(":") + 1)));
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return relay;
  }

  /** host:port of the near end. */
  get address(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Ends every connection, and lets none begin. */
  cut(): void {
    this.#isCut = true;
    for (const socket of this.#sockets) socket.destroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.cut();
    this.#server.close();
    await once(this.#server, "close");
  }

  #join(near: Socket, to: number): void {
    if (this.#isCut) {
      near.destroy();
      return;
    }
    const far = connect(to, "127.0.0.1");
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      this.#sockets.add(one);
      one
        .on("error", () => {})
        .on("close", () => {
          this.#sockets.delete(one);
          other.destroy();
        });
      one.pipe(other);
    }
  }
}
