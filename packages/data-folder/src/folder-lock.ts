import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import Database from "libsql";

/** Stable codes of a {@link FolderLockError}. */
export type FolderLockErrorCode =
  /** Another process works on the folder. */
  | "data-path-in-use"
  /** The folder cannot be made, or nothing in it can be locked. */
  | "data-path-unusable";

/** A data folder that this process may not work on. */
export class FolderLockError extends Error {
  override readonly name = "FolderLockError";
  readonly code: FolderLockErrorCode;

  constructor(code: FolderLockErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** A folder that no other process can lock until this is disposed. It ends with the process, however that ends. */
export interface FolderLock extends Disposable {
  /** The file that is locked. It stays, and means nothing while nobody holds it. */
  readonly path: string;
}

/** An empty SQLite database: a name that says what it is for keeps people from deleting it under a running role. */
const FILE_NAME = "in-use.lock";

/**
 * Locks a role's data folder for this process, and makes the folder where there is none.
 *
 * @throws FolderLockError
 */
export async function lockFolder(folder: string): Promise<FolderLock> {
  const path = join(folder, FILE_NAME);
  let database: Database.Database | undefined;
  try {
    await mkdir(folder, { recursive: true });
    database = new Database(path, { timeout: 0 });
    // Nothing is ever written, so nothing would be rolled back.
    database.exec("PRAGMA journal_mode = OFF");
    // SQLite holds a lock of the kernel on the file until the transaction ends, which is never.
    database.exec("BEGIN EXCLUSIVE");
  } catch (error) {
    database?.close();
    throw lockError(folder, error);
  }
  const held = database;
  return { path, [Symbol.dispose]: () => void held.close() };
}

function lockError(folder: string, cause: unknown): FolderLockError {
  const { code } = cause as { readonly code?: unknown };
  if (code === "SQLITE_BUSY" || code === "SQLITE_LOCKED") {
    const message = `${folder} is in use by another process; stop that one, or give this one a data_path of its own`;
    return new FolderLockError("data-path-in-use", message, { cause });
  }
  const message = `${folder} cannot be used as data_path; check the path and its rights, and that its file system has locks`;
  return new FolderLockError("data-path-unusable", message, { cause });
}
