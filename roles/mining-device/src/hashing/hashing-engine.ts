import { setTimeout as sleep } from "node:timers/promises";
import { MessageChannel, type MessagePort, type Worker } from "node:worker_threads";
import type { Share, Work } from "../work/work.ts";
import { type SchedulerEffect, type SchedulerInput, WorkScheduler } from "../work/work-scheduler.ts";
import { startThread } from "./start-thread.ts";
import type { FromThread, ThreadStart, ToThread } from "./thread-messages.ts";

/** How the engine hashes. */
export interface HashingOptions {
  /** Worker threads, at least one. */
  readonly threads: number;
  /** Hashes a second of all threads together; 0 for no limit. */
  readonly hashrateLimit: number;
  /** Draws from 0 up to 1. */
  readonly random: () => number;
}

/** A connection's place in the engine. Disposing it drops its work. */
export interface HashingSource extends Disposable {
  /** Hashes this from now on; work of an earlier epoch stops at once. */
  work(work: Work): void;
  /** Stops at once. */
  noWork(): void;
  /** Starts no new piece of its work until `resume`. */
  pause(): void;
  resume(): void;
}

interface Thread {
  readonly worker: Worker;
  readonly port: MessagePort;
  readonly bell: Int32Array;
}

/** How often the scheduler looks for work that time alone brings. */
const TICK_MS = 250;
/** Every thread hashes faster than this, however slow the machine. */
const SLOWEST_THREAD = 50_000;

/** Hashes the work of any number of connections in worker threads. Whoever started it disposes it. */
export class HashingEngine implements AsyncDisposable {
  /** Rejects when a thread dies, which only a fault in this program can bring about. Never resolves. */
  readonly failed: Promise<never>;
  readonly #options: HashingOptions;
  readonly #scheduler: WorkScheduler;
  readonly #threads: readonly Thread[];
  readonly #listeners = new Map<number, (share: Share) => void>();
  readonly #ticking: ReturnType<typeof setInterval>;
  #nextSource = 0;
  #fail: (error: Error) => void = () => {};

  private constructor(options: HashingOptions) {
    this.#options = options;
    this.#scheduler = new WorkScheduler(options);
    this.failed = new Promise((_, reject) => {
      this.#fail = reject;
    });
    // Whoever waits for it hears of it; when nobody does it shall not end the process.
    this.failed.catch(() => {});
    this.#threads = Array.from({ length: options.threads }, () => open(options.hashrateLimit / options.threads));
    this.#ticking = setInterval(() => this.#handle({ type: "tick" }), TICK_MS);
  }

  /** Starts the threads and waits until they run. Rejects when one cannot start or the signal aborts. */
  static async start(options: HashingOptions, { signal }: { readonly signal: AbortSignal }): Promise<HashingEngine> {
    const engine = new HashingEngine(options);
    const ready = Promise.all(engine.#threads.map((thread, index) => engine.#listen(thread, index)));
    const stop = (): void => engine.#fail(signal.reason as Error);
    signal.addEventListener("abort", stop, { once: true });
    try {
      signal.throwIfAborted();
      await Promise.race([ready, engine.failed]);
      return engine;
    } catch (error) {
      await engine[Symbol.asyncDispose]();
      throw error;
    } finally {
      signal.removeEventListener("abort", stop);
    }
  }

  /** Hashes done so far. */
  get hashes(): number {
    return this.#scheduler.hashes;
  }

  /** Hashes a second over the last ten seconds. */
  hashrate(): number {
    return this.#scheduler.hashrate(performance.now());
  }

  /** Gives a connection its place. `onShare` is called with what is found for its newest epoch. */
  attach(onShare: (share: Share) => void): HashingSource {
    const source = this.#nextSource++;
    this.#listeners.set(source, onShare);
    return {
      work: (work) => this.#handle({ type: "work", source, work }),
      noWork: () => this.#handle({ type: "no-work", source }),
      pause: () => this.#handle({ type: "pause", source }),
      resume: () => this.#handle({ type: "resume", source }),
      [Symbol.dispose]: () => {
        this.#listeners.delete(source);
        this.#perform(this.#scheduler.forget(source));
      },
    };
  }

  /** What the threads do a second, under the limit: hashes for `ms` milliseconds what nobody wants. */
  async measure(ms: number, { signal }: { readonly signal: AbortSignal }): Promise<number> {
    const { threads, hashrateLimit } = this.#options;
    if (hashrateLimit > 0 && hashrateLimit < threads * SLOWEST_THREAD) return hashrateLimit;
    using source = this.attach(() => {});
    source.work(impossible(performance.now()));
    await sleep(ms / 2, undefined, { signal });
    const [hashes, since] = [this.hashes, performance.now()];
    await sleep(ms / 2, undefined, { signal });
    return ((this.hashes - hashes) * 1000) / (performance.now() - since);
  }

  /** Stops all threads, wherever they are. */
  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#ticking);
    this.#listeners.clear();
    await Promise.all(
      this.#threads.map(async ({ worker, port }) => {
        worker.removeAllListeners("exit");
        await worker.terminate();
        port.close();
      }),
    );
  }

  /** Resolves when the thread runs. */
  #listen({ worker, port }: Thread, thread: number): Promise<void> {
    worker.on("error", (cause) => this.#fail(new Error(`hashing thread ${thread} failed`, { cause })));
    worker.on("exit", (code) => this.#fail(new Error(`hashing thread ${thread} ended with code ${code}`)));
    return new Promise((resolve) => {
      port.on("message", (message: FromThread) => {
        if (message.type === "ready") resolve();
        else this.#handle({ ...message, thread });
      });
    });
  }

  #handle(input: SchedulerInput): void {
    this.#perform(this.#scheduler.handle(input, performance.now()));
  }

  #perform(effects: readonly SchedulerEffect[]): void {
    for (const effect of effects) {
      switch (effect.type) {
        case "assign":
          this.#tell(effect.thread, { type: "hash", slice: effect.slice });
          break;
        case "cancel":
          this.#tell(effect.thread, { type: "cancel", slice: effect.slice });
          break;
        case "share":
          this.#listeners.get(effect.source)?.(effect.share);
          break;
        default:
          effect satisfies never;
      }
    }
  }

  #tell(number: number, message: ToThread): void {
    const thread = this.#threads[number];
    if (thread === undefined) return;
    thread.port.postMessage(message);
    Atomics.add(thread.bell, 0, 1);
    Atomics.notify(thread.bell, 0);
  }
}

function open(hashrateLimit: number): Thread {
  const { port1, port2 } = new MessageChannel();
  const bell = new Int32Array(new SharedArrayBuffer(4));
  const workerData: ThreadStart = { port: port2, bell, hashrateLimit };
  const worker = startThread("hash-thread", import.meta.url, { workerData, transferList: [port2] });
  return { worker, port: port1, bell };
}

/** Work whose target no hash meets. */
function impossible(now: number): Work {
  const zeros = new Uint8Array(32);
  return {
    job: undefined,
    epoch: 0,
    version: 0,
    versionMask: 0,
    prevHash: zeros,
    nbits: 0,
    minNtime: 0,
    receivedAt: now,
    target: zeros,
    extranonceSize: 8,
    merkleRoot: () => zeros,
  };
}
