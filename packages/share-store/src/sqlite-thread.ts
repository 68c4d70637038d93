import type { Worker } from "node:worker_threads";
import { ShareStoreError, type ShareStoreErrorCode } from "./share-store.ts";
import type { Call, Reply } from "./sqlite-protocol.ts";
import { startThread } from "./start-thread.ts";

/** The main thread's end of the thread that owns the file. */
export class SqliteThread {
  readonly #worker: Worker;
  readonly #waiting = new Map<number, { resolve: (value: unknown) => void; reject: (error: Error) => void }>();
  #nextId = 1;
  #gone: Error | undefined;

  constructor(path: string) {
    this.#worker = startThread("sqlite-worker", import.meta.url, { workerData: { path }, name: "share-store" });
    this.#worker.on("message", (reply: Reply) => this.#settle(reply));
    this.#worker.on("error", (error) => this.#fail(error));
    this.#worker.on("exit", () => this.#fail(new Error("the share store's thread has ended")));
  }

  /** @throws ShareStoreError as the thread met it. */
  async call<T>(call: Call): Promise<T> {
    if (this.#gone !== undefined)
      throw new ShareStoreError("closed", "the share store is closed", { cause: this.#gone });
    const id = this.#nextId++;
    return (await new Promise<unknown>((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#worker.postMessage({ ...call, id });
    })) as T;
  }

  async end(): Promise<void> {
    await this.#worker.terminate();
  }

  #settle(reply: Reply): void {
    const waiting = this.#waiting.get(reply.id);
    this.#waiting.delete(reply.id);
    if (reply.ok) waiting?.resolve(reply.value);
    else waiting?.reject(storeError(reply.error));
  }

  #fail(cause: unknown): void {
    this.#gone ??= cause instanceof Error ? cause : new Error(String(cause));
    for (const { reject } of this.#waiting.values()) {
      reject(new ShareStoreError("not-durable", "the share store's thread ended before its commit", { cause }));
    }
    this.#waiting.clear();
  }
}

const ownCodes: readonly ShareStoreErrorCode[] = ["locked", "newer-schema", "unreadable"];

function storeError({ code, message }: { code: string; message: string }): ShareStoreError {
  const own = ownCodes.find((known) => known === code);
  if (own !== undefined) return new ShareStoreError(own, message);
  const cause = new Error(`${code}: ${message}`);
  if (code === "SQLITE_FULL") {
    return new ShareStoreError("disk-full", "no space left for the share store; free some and recording goes on", {
      cause,
    });
  }
  return new ShareStoreError("not-durable", `the share store could not be written (${code}); check its disk`, {
    cause,
  });
}
