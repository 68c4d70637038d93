import { createServer, type Server, Socket } from "node:net";
import { AcceptQueue } from "../accept-queue.ts";
import type { ByteStream, Listener, Transport } from "../byte-stream.ts";
import { abortError, NetworkError } from "../errors.ts";
import { formatHostPort, parseHostPort } from "../host-port.ts";
import { tcpFault } from "./fault.ts";
import { SocketStream } from "./socket-stream.ts";

/** Settings of the TCP transport. */
export interface TcpOptions {
  /** Silence after which the system probes the peer, in milliseconds; 60,000 unless told. */
  readonly keepAliveMs?: number;
  /** Bytes buffered in this process each way before a writer waits or reading stops; 64 KiB unless told. */
  readonly windowBytes?: number;
  /** Connections the system may hold for us before they are accepted; 511 unless told. */
  readonly backlog?: number;
  /** Called when one connection could not be accepted, e.g. out of file descriptors. Accepting goes on. */
  readonly onAcceptError?: (error: NetworkError) => void;
}

const MAX_WAITING_STREAMS = 1024;
const WINDOW = 64 * 1024;
const KEEP_ALIVE_MS = 60_000;

/**
 * TCP: no delay, keep-alive probes, one chunk a pull. Addresses are `host:port` or `[v6]:port`; names are resolved and
 * all their addresses tried. Listening on port 0 takes a free port.
 */
export function tcp(options: TcpOptions = {}): Transport {
  return {
    kind: "tcp",
    dial: (address, { signal }) => dialTcp(address, { ...options, signal }),
    listen: (address, { signal }) => listenTcp(address, { ...options, signal }),
  };
}

type WithSignal = TcpOptions & { readonly signal: AbortSignal };

function dialTcp(address: string, options: WithSignal): Promise<ByteStream> {
  return new Promise((resolve, reject) => {
    const { signal } = options;
    if (signal.aborted) throw abortError(signal, address, "dialling");
    const { host, port } = parseHostPort(address);
    const socket = new Socket({ allowHalfOpen: true, ...highWaterMarks(options) });
    const stop = (): void => {
      socket.destroy();
      reject(abortError(signal, address, "dialling"));
    };
    const fail = (error: Error): void => {
      signal.removeEventListener("abort", stop);
      reject(tcpFault(error, address, "connection-failed"));
    };
    socket.once("error", fail);
    socket.once("connect", () => {
      signal.removeEventListener("abort", stop);
      // As options of `connect` they would be ignored.
      socket.setNoDelay(true);
      socket.setKeepAlive(true, options.keepAliveMs ?? KEEP_ALIVE_MS);
      const stream = new SocketStream(socket, address);
      socket.off("error", fail);
      resolve(stream);
    });
    signal.addEventListener("abort", stop, { once: true });
    socket.connect({ host, port });
  });
}

function listenTcp(address: string, options: WithSignal): Promise<Listener> {
  return new Promise((resolve, reject) => {
    const { signal } = options;
    if (signal.aborted) throw abortError(signal, address, "starting to listen");
    const { host, port } = parseHostPort(address);
    const server = createServer({
      allowHalfOpen: true,
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: options.keepAliveMs ?? KEEP_ALIVE_MS,
      highWaterMark: options.windowBytes ?? WINDOW,
    });
    const stop = (): void => {
      server.close();
      reject(abortError(signal, address, "starting to listen"));
    };
    const fail = (error: Error): void => {
      signal.removeEventListener("abort", stop);
      reject(tcpFault(error, address, "node-initialisation"));
    };
    server.once("error", fail);
    signal.addEventListener("abort", stop, { once: true });
    server.listen({ host, port, backlog: options.backlog ?? 511 }, () => {
      signal.removeEventListener("abort", stop);
      server.off("error", fail);
      resolve(new TcpListener(server, options));
    });
  });
}

class TcpListener implements Listener {
  readonly address: string;
  readonly #server: Server;
  readonly #signal: AbortSignal;
  readonly #queue = new AcceptQueue<ByteStream>(MAX_WAITING_STREAMS);
  #stopped = false;
  readonly #stop = (): void => {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#signal.removeEventListener("abort", this.#stop);
    const error = new NetworkError("closed", { peer: this.address, message: `${this.address}: the listener stopped` });
    for (const stream of this.#queue.end()) stream.abort(error);
    this.#server.close();
  };

  constructor(server: Server, options: WithSignal) {
    const bound = server.address();
    this.address =
      typeof bound === "object" && bound !== null ? formatHostPort({ host: bound.address, port: bound.port }) : "";
    this.#server = server;
    this.#signal = options.signal;
    server.on("connection", (socket) => this.#accept(socket));
    server.on("error", (error) => options.onAcceptError?.(tcpFault(error, this.address, "refused")));
    server.once("close", this.#stop);
    options.signal.addEventListener("abort", this.#stop);
  }

  get streams(): AsyncIterable<ByteStream> {
    return this.#queue.items;
  }

  /** The server's own close event waits for every connection; the address is free as soon as it no longer listens. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop();
  }

  #accept(socket: Socket): void {
    const { remoteAddress, remotePort } = socket;
    const gone = remoteAddress === undefined || remotePort === undefined;
    const peer = gone ? "a peer that has left" : formatHostPort({ host: remoteAddress, port: remotePort });
    const stream = new SocketStream(socket, peer);
    if (gone || !this.#queue.push(stream)) {
      const message = `${peer}: refused, too many wait to be accepted; this process does not keep up, look at its processor`;
      stream.abort(new NetworkError("refused", { peer, message }));
    }
  }
}

function highWaterMarks(options: TcpOptions): { readableHighWaterMark: number; writableHighWaterMark: number } {
  const bytes = options.windowBytes ?? WINDOW;
  return { readableHighWaterMark: bytes, writableHighWaterMark: bytes };
}
