import { type ByteStream, within } from "@adit/network-helpers";
import { LineSplitter, Sv1Error } from "@adit/sv1";

/** What a {@link MinerConnection} is made with. */
export interface MinerConnectionOptions {
  readonly maxLineBytes: number;
  /** Bytes that may wait to be written. */
  readonly maxOutboundBytes: number;
  /** A line came in, without its newline. */
  readonly onLine: (line: string) => void;
}

/** How long a miner that is closed may take to read what was sent before, in milliseconds. */
const GRACE_MS = 2000;

/** The shell of one miner's connection: lines in, one after another; lines out, in order and bounded. */
export class MinerConnection {
  readonly #stream: ByteStream;
  readonly #options: MinerConnectionOptions;
  readonly #encoder = new TextEncoder();
  #waiting: Uint8Array[] = [];
  #waitingBytes = 0;
  #writing: Promise<void> | undefined;
  #closing = false;

  /** Takes the stream over. */
  constructor(stream: ByteStream, options: MinerConnectionOptions) {
    this.#stream = stream;
    this.#options = options;
  }

  /** Reads until the connection ends, whoever ends it. Resolves to what broke it; undefined for an orderly end. */
  async run(): Promise<Error | undefined> {
    const splitter = new LineSplitter(this.#options.maxLineBytes);
    try {
      for await (const chunk of this.#stream.source) this.#receive(splitter.push(chunk));
      return undefined;
    } catch (error) {
      if (this.#closing) return undefined;
      if (error instanceof Sv1Error) return error;
      return error instanceof Error ? error : new Error(String(error));
    } finally {
      await this.close();
    }
  }

  /** Queues a line. A miner that does not read is broken off when too much waits for it. */
  send(line: string): void {
    if (this.#closing) return;
    const bytes = this.#encoder.encode(`${line}\n`);
    this.#waiting.push(bytes);
    this.#waitingBytes += bytes.length;
    if (this.#waitingBytes > this.#options.maxOutboundBytes) {
      return this.abort(new Error(`does not read; ${this.#waitingBytes} bytes wait for it`));
    }
    this.#writing ??= this.#writeAll();
  }

  /** Breaks the connection off now. */
  abort(reason: Error): void {
    this.#closing = true;
    this.#waiting = [];
    this.#stream.abort(reason);
  }

  /** Writes what waits, then ends the stream: two seconds for that at most. Never rejects. */
  async close(): Promise<void> {
    this.#closing = true;
    if (this.#writing !== undefined) await within(GRACE_MS, this.#writing);
    await this.#stream[Symbol.asyncDispose]();
  }

  #receive(lines: readonly string[]): void {
    for (const line of lines) {
      if (!this.#closing) this.#options.onLine(line);
    }
  }

  async #writeAll(): Promise<void> {
    try {
      while (this.#waiting.length > 0) {
        const batch = joinAll(this.#waiting, this.#waitingBytes);
        this.#waiting = [];
        this.#waitingBytes = 0;
        await this.#stream.write(batch);
      }
    } catch {
      // The reading side hears of it too, and ends the connection.
    } finally {
      this.#writing = undefined;
    }
  }
}

function joinAll(parts: readonly Uint8Array[], length: number): Uint8Array {
  const [first] = parts;
  if (parts.length === 1 && first !== undefined) return first;
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}
