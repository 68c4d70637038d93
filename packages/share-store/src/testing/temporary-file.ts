import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A path for a store in a folder of its own, which goes when it is disposed. */
export function temporaryFile(): { readonly folder: string; readonly path: string } & Disposable {
  const folder = mkdtempSync(join(tmpdir(), "adit-store-"));
  const remove = (): void => rmSync(folder, { recursive: true, force: true });
  return { folder, path: join(folder, "shares.db"), [Symbol.dispose]: remove };
}
