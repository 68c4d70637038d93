import { createServer, type Server, type Socket } from "node:net";
import { until } from "./until.ts";

/** What a hostile Stratum V1 pool does with one miner. The connection ends when it resolves. */
export type Sv1Script = (miner: ServedMiner) => Promise<void>;

interface Request {
  readonly id: unknown;
  readonly method: string;
  readonly params: readonly unknown[];
}

/** One miner of a {@link HostileSv1Pool}, as the pool's script sees it. */
export class ServedMiner {
  readonly #socket: Socket;
  readonly #requests: Request[] = [];
  #rest = "";

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.setEncoding("utf8").on("error", () => {});
    socket.on("data", (text: string) => {
      const lines = (this.#rest + text).split("\n");
      this.#rest = lines.pop() ?? "";
      for (const line of lines) this.#requests.push(JSON.parse(line) as Request);
    });
  }

  /** Whether the miner has ended the connection. */
  get isGone(): boolean {
    return this.#socket.closed || this.#socket.readableEnded;
  }

  /** Sends bytes as they are; resolves when there is room for more. */
  async raw(data: string | Uint8Array): Promise<void> {
    if (!this.#socket.write(data)) await until("the miner reads", () => !this.#socket.writableNeedDrain || this.isGone);
  }

  /** Sends a notification. */
  async tell(method: string, params: unknown): Promise<void> {
    await this.raw(`{"id":null,"method":"${method}","params":${JSON.stringify(params)}}\n`);
  }

  /** Resolves to the next request of this method, dropping those before it. */
  async hear(method: string): Promise<Request> {
    await until(`the miner's ${method}`, () => this.isGone || this.#requests.some((one) => one.method === method));
    const at = this.#requests.findIndex((one) => one.method === method);
    const heard = this.#requests.splice(0, at + 1).at(-1);
    if (at === -1 || heard === undefined) throw new Error(`the miner left before its ${method}`);
    return heard;
  }

  /** Hears a request and answers it. */
  async grant(method: string, result: unknown, error: unknown = null): Promise<Request> {
    const request = await this.hear(method);
    await this.raw(`${JSON.stringify({ id: request.id, result, error })}\n`);
    return request;
  }

  /** Resolves when the miner has ended the connection. */
  async left(timeoutMs = 100_000): Promise<void> {
    await until("the miner leaves", () => this.isGone, timeoutMs);
  }

  end(): void {
    this.#socket.destroy();
  }
}

/** A Stratum V1 pool that follows a script with each miner. */
export class HostileSv1Pool implements AsyncDisposable {
  /** Miners so far. */
  miners = 0;
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
  }

  /** `script` is told how many miners came before. */
  static async start(script: (miner: ServedMiner, before: number) => Promise<void>): Promise<HostileSv1Pool> {
    const server = createServer();
    const pool = new HostileSv1Pool(server);
    server.on("connection", (socket) => {
      const miner = new ServedMiner(socket);
      // A miner that leaves in the middle of a script is what most of them want.
      script(miner, pool.miners++)
        .catch(() => {})
        .finally(() => miner.end());
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return pool;
  }

  get port(): number {
    const address = this.#server.address();
    return typeof address === "object" && address !== null ? address.port : 0;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
