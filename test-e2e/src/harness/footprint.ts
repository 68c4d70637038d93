import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect } from "vitest";
import type { TestRole } from "./test-role.ts";
import { until } from "./until.ts";

/** What a role's process must load first for {@link footprintOf} to see its heap without garbage. */
export const garbageOnDemand: string = fileURLToPath(new URL("garbage-on-demand.ts", import.meta.url));

/** What a role's process has in use. */
export interface Footprint {
  /** Heap and what hangs on it outside, after a collection, in MiB. */
  readonly heapMiB: number;
  /** Resident memory in MiB. */
  readonly residentMiB: number;
  /** Open file descriptors: sockets, files, event loops. */
  readonly descriptors: number;
  /** Node's handles: sockets, servers, signal handlers. */
  readonly handles: number;
  /** The role's own gauges by name and labels: connections, channels, queues. */
  readonly gauges: Readonly<Record<string, number>>;
}

/** How much more may be in use than at the start. */
export interface Tolerance {
  readonly heapMiB: number;
  readonly residentMiB: number;
  /** Descriptors and handles: the monitoring's own connections come and go. */
  readonly descriptors: number;
}

/** Gauges that count what peers hold. */
const HELD =
  /^(sv2_connections|sv2_(?:pool|jd_client)_channels|sv2_pool_store_queued_shares|sv2_template_provider_clients|sv2_jd_server_(?:clients|tokens|token_requests_held|declarations_pending))(\{.*\})? (\S+)$/gm;
const MIB = 1024 * 1024;
const BACK_MS = 30_000;
const ANSWER_MS = 5_000;

/** Measures a role that was started with {@link garbageOnDemand}. */
export async function footprintOf(role: TestRole): Promise<Footprint> {
  process.kill(role.pid, "SIGUSR2");
  // The collection runs in a turn of the role's event loop, before or after that of one answer but not of two.
  await role.status();
  const metrics = await role.metrics();
  const read = (name: string): number => Number(new RegExp(`^${name} (\\S+)$`, "m").exec(metrics)?.[1] ?? Number.NaN);
  return {
    heapMiB: (read("nodejs_heap_size_used_bytes") + read("nodejs_external_memory_bytes")) / MIB,
    residentMiB: residentMiB(role),
    descriptors: readdirSync(`/proc/${role.pid}/fd`).length,
    handles: read("nodejs_active_handles_total"),
    gauges: Object.fromEntries(
      [...metrics.matchAll(HELD)].map(([, name, labels, value]) => [`${name}${labels ?? ""}`, Number(value)]),
    ),
  };
}

/** Resolves when a role uses no more than it did, within the tolerance; rejects with the difference when that does not come. */
export async function returnsTo(role: TestRole, before: Footprint, tolerance: Tolerance): Promise<void> {
  let excess: readonly string[] = [];
  const isBack = async (): Promise<boolean> => {
    excess = excessOf(await footprintOf(role), before, tolerance);
    return excess.length === 0;
  };
  await until(`${role.name} uses what it did`, isBack, BACK_MS).catch((cause: unknown) => {
    throw new Error(`${role.name} still uses more than at the start: ${excess.join("; ")}`, { cause });
  });
}

/** Resolves when a role has answered, which it must do before long whatever else goes on. */
export async function answersSoon(role: TestRole): Promise<void> {
  expect(role.isRunning).toBe(true);
  const asked = performance.now();
  await role.status();
  expect(performance.now() - asked).toBeLessThan(ANSWER_MS);
}

function excessOf(now: Footprint, before: Footprint, tolerance: Tolerance): readonly string[] {
  const bounds: readonly (readonly [string, number, number])[] = [
    ["heap MiB", now.heapMiB, before.heapMiB + tolerance.heapMiB],
    ["resident MiB", now.residentMiB, before.residentMiB + tolerance.residentMiB],
    ["descriptors", now.descriptors, before.descriptors + tolerance.descriptors],
    ["handles", now.handles, before.handles + tolerance.descriptors],
    ...Object.entries(now.gauges).map(([name, value]) => [name, value, before.gauges[name] ?? 0] as const),
  ];
  return bounds
    .filter(([, value, most]) => !(value <= most))
    .map(([what, value, most]) => `${what} ${value}, not ${most}`);
}

function residentMiB({ pid }: TestRole): number {
  const [, kib = "0"] = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? [];
  return Number(kib) / 1024;
}
