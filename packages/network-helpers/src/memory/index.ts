import { AcceptQueue } from "../accept-queue.ts";
import type { ByteStream, Listener, StreamInfo, Transport } from "../byte-stream.ts";
import { GRACE_MS, within } from "../deadline.ts";
import { abortError, NetworkError } from "../errors.ts";
import { iterateOnce } from "../once.ts";
import { Pipe } from "./pipe.ts";

/** Settings of a memory transport. */
export interface MemoryOptions {
  /** Bytes a writer may be ahead of its reader before its writes wait; 64 KiB unless told. */
  readonly windowBytes?: number;
}

const MAX_WAITING_STREAMS = 4096;

/**
 * Streams within one process, for tests and embedding. Addresses are any text and belong to this transport object;
 * listening on "" makes one up.
 */
export function memory(options: MemoryOptions = {}): Transport {
  const listeners = new Map<string, MemoryListener>();
  const window = options.windowBytes ?? 64 * 1024;
  let count = 0;
  return {
    kind: "memory",
    dial: async (address, { signal }) => {
      if (signal.aborted) throw abortError(signal, address, "dialling");
      const [here, there] = streamPair(address, { window, index: ++count });
      if (listeners.get(address)?.accept(there) === true) return here;
      const message = `${address}: nobody listens there in this process; start the listener first`;
      throw new NetworkError("connection-failed", { peer: address, message });
    },
    listen: async (wanted, { signal }) => {
      const address = wanted === "" ? `memory-${++count}` : wanted;
      if (signal.aborted) throw abortError(signal, address, "starting to listen");
      if (listeners.has(address)) {
        const message = `${address}: something listens there already; choose another name`;
        throw new NetworkError("node-initialisation", { peer: address, message });
      }
      const listener = new MemoryListener(address, { signal, onStop: () => listeners.delete(address) });
      listeners.set(address, listener);
      return listener;
    },
  };
}

class MemoryListener implements Listener {
  readonly address: string;
  readonly #queue = new AcceptQueue<ByteStream>(MAX_WAITING_STREAMS);
  readonly #signal: AbortSignal;
  readonly #onStop: () => void;
  readonly #stop = (): void => {
    this.#signal.removeEventListener("abort", this.#stop);
    this.#onStop();
    const error = new NetworkError("closed", { peer: this.address, message: `${this.address}: the listener stopped` });
    for (const stream of this.#queue.end()) stream.abort(error);
  };

  constructor(address: string, options: { readonly signal: AbortSignal; readonly onStop: () => void }) {
    this.address = address;
    this.#signal = options.signal;
    this.#onStop = options.onStop;
    options.signal.addEventListener("abort", this.#stop);
  }

  get streams(): AsyncIterable<ByteStream> {
    return this.#queue.items;
  }

  accept(stream: ByteStream): boolean {
    return this.#queue.push(stream);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop();
  }
}

function streamPair(
  address: string,
  options: { readonly window: number; readonly index: number },
): [MemoryStream, MemoryStream] {
  const there = new Pipe(options.window);
  const back = new Pipe(options.window);
  return [
    new MemoryStream(address, { incoming: back, outgoing: there }),
    new MemoryStream(`dialler ${options.index} of ${address}`, { incoming: there, outgoing: back }),
  ];
}

class MemoryStream implements ByteStream {
  readonly peer: string;
  readonly source: AsyncIterable<Uint8Array>;
  readonly #incoming: Pipe;
  readonly #outgoing: Pipe;
  readonly #since = Date.now();
  #bytesIn = 0;
  #bytesOut = 0;
  #closing: Promise<void> | undefined;
  #broken: Error | undefined;

  constructor(peer: string, pipes: { readonly incoming: Pipe; readonly outgoing: Pipe }) {
    this.peer = peer;
    this.#incoming = pipes.incoming;
    this.#outgoing = pipes.outgoing;
    this.source = iterateOnce("a stream's source", {
      next: async () => {
        const result = await this.#incoming.pull();
        this.#bytesIn += result.value?.length ?? 0;
        return result;
      },
      return: async () => ({ done: true, value: undefined }),
    });
  }

  async write(bytes: Uint8Array): Promise<void> {
    if (this.#broken !== undefined) throw this.#broken;
    if (this.#closing !== undefined) throw this.#closed("this side has closed the stream");
    this.#bytesOut += bytes.length;
    await this.#outgoing.write(bytes);
  }

  abort(reason: Error): void {
    if (this.#broken !== undefined) return;
    this.#broken = reason;
    const theirs = this.#closed("the peer broke the connection");
    this.#outgoing.break({ writer: reason, reader: theirs });
    this.#incoming.break({ writer: theirs, reader: reason });
  }

  info(): StreamInfo {
    return {
      transport: "memory",
      peer: this.peer,
      endpointId: null,
      path: null,
      rttMs: null,
      since: this.#since,
      bytesIn: this.#bytesIn,
      bytesOut: this.#bytesOut,
    };
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#outgoing.end();
    this.#incoming.discard();
    const settled = await within(GRACE_MS, Promise.all([this.#outgoing.settled, this.#incoming.settled]));
    if (!settled) this.abort(this.#closed("the peer did not finish in time"));
  }

  #closed(why: string): NetworkError {
    return new NetworkError("closed", { peer: this.peer, message: `${this.peer}: ${why}` });
  }
}
