import { randomBytes } from "node:crypto";
import { link, open, rm } from "node:fs/promises";

/**
 * Writes a secret to a file of mode 0600 that is not there yet, in a folder that is. It is written aside and linked into
 * place: the file appears whole, and never over one that exists. Errors of the file system as they are, `EEXIST` among them.
 */
export async function createKeyFile(path: string, text: string): Promise<void> {
  const temporary = `${path}.${randomBytes(6).toString("hex")}.tmp`;
  try {
    const file = await open(temporary, "wx", 0o600);
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    await link(temporary, path);
  } finally {
    await rm(temporary, { force: true });
  }
}
