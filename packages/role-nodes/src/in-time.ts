import { setTimeout as sleep } from "node:timers/promises";

/** What `work` comes to, or `late` when that takes longer; it goes on all the same. Rejects when `work` does in time. */
export async function inTime<T>(work: Promise<T>, ms: number): Promise<T | "late"> {
  const over = new AbortController();
  const late = sleep(ms, "late" as const, { signal: over.signal }).catch(() => "late" as const);
  try {
    return await Promise.race([work, late]);
  } finally {
    over.abort();
  }
}
