import type { Worker } from "node:worker_threads";
import { ShareStoreError, type ShareStoreErrorCode } from "./share-store.ts";
import type { FileOptions } from "./sqlite-database.ts";
import type { Call, Reply } from "./sqlite-protocol.ts";
import { startThread } from "./start-thread.ts";

/** The main thread's end of the thread that owns the file. */
export class SqliteThread {
  /** Resolves when the thread has ended, whatever the cause; every call then rejects with the same error. */
  readonly ended: Promise<ShareStoreError>;
  readonly #worker: Worker;
  readonly #waiting = new Map<number, { resolve: (value: unknown) => void; reject: (error: Error) => void }>();
  #nextId = 1;
  #gone: ShareStoreError | undefined;

  constructor(file: FileOptions) {
    this.#worker = startThread("sqlite-worker", import.meta.url, { workerData: file, name: "share-store" });
    this.#worker.on("message", (reply: Reply) => this.#settle(reply));
    this.ended = new Promise((resolve) => {
      const fail = (cause: unknown): void => resolve(this.#fail(cause));
      this.#worker.on("messageerror", fail);
      this.#worker.on("error", fail);
      this.#worker.on("exit", (exitCode) => fail(new Error(`exit code ${exitCode}`)));
    });
  }

  /** @throws ShareStoreError as the thread met it, `not-durable` when the thread has ended. */
  async call<T>(call: Call): Promise<T> {
    if (this.#gone !== undefined) throw this.#gone;
    const id = this.#nextId++;
    return (await new Promise<unknown>((resolve, reject) => {
      this.#worker.postMessage({ ...call, id });
      this.#waiting.set(id, { resolve, reject });
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

  #fail(cause: unknown): ShareStoreError {
    const message = "the share store's thread has ended; restart the process, and see the cause";
    this.#gone ??= new ShareStoreError("not-durable", message, { cause });
    for (const { reject } of this.#waiting.values()) reject(this.#gone);
    this.#waiting.clear();
    return this.#gone;
  }
}

const ownCodes: readonly ShareStoreErrorCode[] = ["locked", "newer-schema", "unreadable", "disk-full"];

function storeError({ code, message }: { code: string; message: string }): ShareStoreError {
  const own = ownCodes.find((known) => known === code);
  if (own !== undefined) return new ShareStoreError(own, message);
  const options = { cause: new Error(`${code}: ${message}`) };
  if (code === "SQLITE_FULL") {
    return new ShareStoreError(
      "disk-full",
      "no space left for the share store; free some and recording goes on",
      options,
    );
  }
  if (code.startsWith("SQLITE_CORRUPT") || code === "SQLITE_NOTADB") {
    return new ShareStoreError("unreadable", "the share store's file is damaged; restore it from a backup", options);
  }
  return new ShareStoreError("not-durable", `the share store failed (${code}); check its disk, then restart`, options);
}
