import { open } from "node:fs/promises";

/** Makes new and renamed files of a folder outlive a power cut. Errors of the file system as they are. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
