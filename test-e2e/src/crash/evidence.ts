import { existsSync } from "node:fs";
import { copyFile, mkdtemp, rm } from "node:fs/promises";
import { displayHash } from "@adit/bitcoin";
import { auditSqliteStore } from "@adit/share-store";
import type { LogLine } from "../harness/test-role.ts";
import type { LogBooks, StoreBooks, Sum } from "./books.ts";
import type { Cast } from "./cast.ts";

/**
 * Reads the share store of a pool that is down, from a copy: opening a file ends what a crash left under way in it, and
 * that is for the pool to show.
 */
export async function readStore({ sharesPath, folder }: Pick<Cast, "sharesPath" | "folder">): Promise<StoreBooks> {
  const copies = await mkdtemp(`${folder}/audit-`);
  const path = `${copies}/shares.db`;
  try {
    for (const end of ["", "-wal"]) if (existsSync(sharesPath + end)) await copyFile(sharesPath + end, path + end);
    const { damage, shares, workers, minutes, blocks } = await auditSqliteStore(path);
    return {
      damage,
      shares: shares.map(({ hash, userIdentity, worker, work }) => ({
        hash: displayHash(hash),
        owner: userIdentity,
        worker,
        work,
      })),
      workers: workers.map(sumOf),
      minutes: minutes.map(sumOf),
      blocks: blocks.map(({ hash, height, result }) => ({ hash: displayHash(hash), height, result })),
    };
  } finally {
    await rm(copies, { recursive: true, force: true });
  }
}

/** What pool and template provider have logged. */
export function readLogs(pool: readonly LogLine[], templateProvider: readonly LogLine[]): LogBooks {
  const hashes = (lines: readonly LogLine[], msg: string): readonly string[] =>
    lines.filter((line) => line.msg === msg).map((line) => String(line["hash"]));
  return {
    found: hashes(pool, "block found"),
    connected: hashes(templateProvider, "block connected"),
    refusedSolutions: templateProvider
      .filter(({ msg }) => msg === "solution refused")
      .map((line) => line["faults"] as readonly string[]),
  };
}

function sumOf(sum: {
  readonly userIdentity: string;
  readonly worker: string;
  readonly shares: number;
  readonly work: bigint;
}): Sum {
  return { owner: sum.userIdentity, worker: sum.worker, shares: sum.shares, work: sum.work };
}
