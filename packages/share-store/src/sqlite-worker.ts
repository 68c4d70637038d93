import { parentPort, workerData } from "node:worker_threads";
import { type FileOptions, SqliteDatabase } from "./sqlite-database.ts";
import type { Reply, Request } from "./sqlite-protocol.ts";

/**
 * The thread that owns the SQLite file: an fsync takes milliseconds, and none of them may stop a miner's connection.
 * Requests are served one at a time, in order.
 */
async function serve(file: FileOptions): Promise<void> {
  const port = parentPort;
  if (port === null) throw new Error("runs as a worker thread only");
  let database: SqliteDatabase | undefined;
  let last: Promise<void> = Promise.resolve();
  const answer = async (request: Request): Promise<void> => {
    try {
      database ??= await SqliteDatabase.open(file);
      port.postMessage({ id: request.id, ok: true, value: await perform(database, request) } satisfies Reply);
    } catch (error) {
      port.postMessage({ id: request.id, ok: false, error: plainError(error) } satisfies Reply);
    }
    if (request.type === "close") port.close();
  };
  port.on("message", (request: Request) => {
    last = last.then(() => answer(request));
  });
}

async function perform(database: SqliteDatabase, request: Request): Promise<unknown> {
  switch (request.type) {
    case "open":
      return undefined;
    case "commit":
      return await database.commit(request.batch);
    case "workers":
      return await database.workers();
    case "blocks":
      return await database.blocks(request.limit);
    case "open-blocks":
      return await database.openBlocks(request.limit);
    case "totals":
      return await database.totals();
    case "work-between":
      return await database.workBetween(request.from, request.to);
    case "audit":
      return await database.audit();
    case "close":
      return await database.close();
    default:
      return request satisfies never;
  }
}

function plainError(error: unknown): { code: string; message: string } {
  if (!(error instanceof Error)) return { code: "unknown", message: String(error) };
  const { code } = error as { code?: unknown };
  return { code: typeof code === "string" ? code : "unknown", message: error.message };
}

await serve(workerData as FileOptions);
