import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { startNode } from "./harness/command.ts";
import { processesWith } from "./harness/process-list.ts";
import { root, sourceFlags } from "./harness/test-role.ts";
import { until } from "./harness/until.ts";

const soakMain = fileURLToPath(new URL("soak/main.ts", import.meta.url));
const MINERS = 40;

interface Report {
  readonly ok: boolean;
  readonly failures: readonly string[];
  readonly interrupted: boolean;
  readonly miners: number;
  readonly processes: readonly { readonly name: string; readonly incarnation: number; readonly verdict: string }[];
  readonly idle: readonly {
    readonly name: string;
    readonly before: Readonly<Record<string, number>>;
    readonly after: Readonly<Record<string, number>>;
  }[];
  readonly groups: Readonly<
    Record<
      string,
      {
        readonly submitted: number;
        readonly acknowledged: number;
        readonly connected: number;
        readonly latency_ms: { readonly p50: number; readonly p99: number; readonly max: number };
      }
    >
  >;
  readonly recoveries: readonly { readonly fault: string; readonly recoveredMs: number | null }[];
  readonly stored_shares: number;
}

test("a short soak of forty miners finds nothing, and counts what it did", async () => {
  const options = ["--minutes", "0.25", "--miners", String(MINERS), "--json"];
  const run = startNode([...sourceFlags, soakMain, ...options]);
  const { code, stdout, stderr } = await run.ended;
  const lines = stdout.trimEnd().split("\n");
  const report = JSON.parse(lines.at(-1) ?? "") as Report;
  expect(report.failures, stderr).toEqual([]);
  expect(report).toMatchObject({ ok: true, interrupted: false, miners: MINERS });
  expect(code).toBe(0);
  expect(lines).toHaveLength(1);

  expect(report.recoveries.map(({ fault }) => fault).toSorted()).toEqual(["kill-pool", "kill-template-provider"]);
  for (const { recoveredMs } of report.recoveries) expect(recoveredMs).toBeGreaterThan(0);
  expect(Object.keys(report.groups).toSorted()).toEqual(["sv1-via-iroh", "sv1-via-tcp", "sv2-iroh", "sv2-tcp"]);
  for (const group of Object.values(report.groups)) {
    expect(group.acknowledged).toBeGreaterThan(0);
    expect(group.submitted).toBeGreaterThanOrEqual(group.acknowledged);
    expect(group.latency_ms.p50).toBeGreaterThan(0);
    expect(group.latency_ms.p99).toBeGreaterThanOrEqual(group.latency_ms.p50);
    expect(group.latency_ms.max).toBeGreaterThanOrEqual(group.latency_ms.p99);
  }
  // Both kinds of direct miners lost their pool once.
  for (const name of ["sv2-tcp", "sv2-iroh"]) expect(report.groups[name]?.connected).toBeGreaterThanOrEqual(MINERS / 5);
  const direct = ["sv2-tcp", "sv2-iroh"].reduce((sum, name) => sum + (report.groups[name]?.acknowledged ?? 0), 0);
  expect(report.stored_shares).toBeGreaterThanOrEqual(direct);
  expect(new Set(report.processes.map(({ name }) => name))).toEqual(
    new Set(["template-provider", "pool", "translator-tcp", "translator-iroh", "miners-1", "miners-2"]),
  );
  expect(report.idle.map(({ name }) => name)).toEqual([
    "template-provider",
    "pool",
    "translator-tcp",
    "translator-iroh",
  ]);
  for (const { before, after } of report.idle) expect(after["connections"]).toBe(before["connections"]);
}, 300_000);

test("Ctrl-C ends a soak with what it has, and every process that it started", async () => {
  const args = [...sourceFlags, soakMain, "--minutes", "30", "--miners", "10"];
  const child = spawn(process.execPath, args, { cwd: root, detached: true, stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  let progress = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (output += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (progress += text));
  const ended = once(child, "exit") as Promise<[number | null, NodeJS.Signals | null]>;
  try {
    await until("the load begins", () => progress.includes("the load begins"), 120_000);
    const group = (): readonly number[] =>
      processesWith("").flatMap(({ pid }) => (groupOf(pid) === child.pid ? [pid] : []));
    expect(group().length).toBeGreaterThanOrEqual(7);
    process.kill(-(child.pid ?? 0), "SIGINT");
    expect(await ended).toEqual([130, null]);
    expect(output).toMatch(/^Verdict: interrupted/m);
    await until("its processes are gone", () => group().length === 0);
  } finally {
    child.kill("SIGKILL");
  }
}, 180_000);

function groupOf(pid: number): number | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[2]);
  } catch {
    return undefined;
  }
}
