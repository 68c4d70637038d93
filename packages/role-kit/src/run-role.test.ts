import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test, vi } from "vitest";
import type { ReadyMessage } from "./run-role.ts";

const sample = new URL("./testing/sample-role.ts", import.meta.url);

interface Started {
  readonly child: ChildProcess;
  readonly ready: ReadyMessage;
  readonly log: string;
  readonly config: string;
}

const WAIT = { timeout: 10_000, interval: 20 };

async function start(mode: string, more = ""): Promise<Started> {
  const folder = await mkdtemp(join(tmpdir(), "adit-role-"));
  const config = join(folder, "sample.toml");
  const log = join(folder, "sample.log");
  await writeFile(config, `mode = "${mode}"\nmonitoring_address = "127.0.0.1:0"\nshutdown_timeout_secs = 1\n${more}`);
  const child = fork(sample, ["-c", config, "-f", log], { execArgv: ["--import", "tsx", "--conditions=@adit/source"] });
  const [ready] = (await once(child, "message")) as [ReadyMessage];
  return { child, ready, log, config };
}

async function exitCode(child: ChildProcess): Promise<number | null> {
  const [code] = (await once(child, "exit")) as [number | null];
  return code;
}

describe("a role process", () => {
  test("tells its parent when it is ready, serves health, readiness, status and metrics, and drains on the first signal", async () => {
    const { child, ready, log } = await start("serve");
    const get = async (path: string): Promise<Response> => await fetch(`http://${ready.monitoring}${path}`);
    expect(ready).toMatchObject({ type: "ready", role: "sample", details: { listening: 1 } });
    expect(await (await get("/api/v1/health")).json()).toMatchObject({ status: "ok" });
    expect((await get("/api/v1/ready")).status).toBe(200);
    expect(await (await get("/api/v1/status")).json()).toMatchObject({ role: "sample", big: "12345678901234567890" });
    const metrics = await (await get("/metrics")).text();
    expect(metrics).toContain('sv2_sample_things_total{kind="one"} 2');
    expect(metrics).toContain("sv2_sample_level 7");
    child.kill("SIGTERM");
    expect(await exitCode(child)).toBe(0);
    const lines = (await readFile(log, "utf8"))
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as { msg: string });
    expect(lines.map(({ msg }) => msg)).toEqual(["starting", "ready", "draining", "stopped"]);
  });

  test("quits at once on the second signal", async () => {
    const { child } = await start("hang");
    child.kill("SIGINT");
    await once(child, "message");
    child.kill("SIGINT");
    expect(await exitCode(child)).toBe(130);
  });

  test("drains nothing when its config says so", async () => {
    const { child, log } = await start("hang", 'shutdown = "immediate"\n');
    child.kill("SIGTERM");
    expect(await exitCode(child)).toBe(0);
    expect(await readFile(log, "utf8")).not.toContain("draining");
  });

  test("is cut short when its drain takes too long", async () => {
    const { child } = await start("hang");
    child.kill("SIGTERM");
    expect(await exitCode(child)).toBe(1);
  });

  test("reads its config anew on SIGHUP: applies what can change live, names what cannot, and keeps the former when it is bad", async () => {
    const { child, config, log, ready } = await start("serve");
    const answer = async (lines: readonly string[], line: RegExp): Promise<void> => {
      await writeFile(config, lines.join("\n"));
      const from = (await readFile(log, "utf8")).length;
      child.kill("SIGHUP");
      await vi.waitFor(async () => expect((await readFile(log, "utf8")).slice(from)).toMatch(line), WAIT);
    };
    const kept = ['mode = "serve"', 'monitoring_address = "127.0.0.1:0"'];
    await answer([...kept, "shutdown_timeout_secs = 1", 'log_level = "debug"'], /"applied":\["log_level"\]/);
    await answer(
      [...kept, "shutdown_timeout_secs = 2", 'log_level = "debug"'],
      /"keys":\["shutdown_timeout_secs"\].*cannot change live[^\n]*\n.*config reloaded/,
    );
    await answer(
      ['mode = "serve"', "log_levl = 1"],
      /log_levl: unknown key \(did you mean log_level\?\).*the former one stays/,
    );
    const metrics = await (await fetch(`http://${ready.monitoring}/metrics`)).text();
    for (const result of ["applied", "partly", "refused"]) {
      expect(metrics).toContain(`sv2_config_reloads_total{result="${result}"} 1`);
    }
    child.kill("SIGTERM");
    expect(await exitCode(child)).toBe(0);
  });

  test("logs at the level its operator sets, until it reads its config anew", async () => {
    const { child, config, log, ready } = await start("serve");
    const setLevel = async (level: string): Promise<unknown> => {
      const url = `http://${ready.monitoring}/rpc/v1/control/log_level`;
      const headers = { "content-type": "application/json" };
      return await (await fetch(url, { method: "POST", headers, body: JSON.stringify(level) })).json();
    };
    const lines = ['mode = "serve"', 'monitoring_address = "127.0.0.1:0"', "shutdown_timeout_secs = 1"];
    const reloaded = async (level: string, applied: RegExp): Promise<void> => {
      await writeFile(config, [...lines, `log_level = "${level}"`].join("\n"));
      const from = (await readFile(log, "utf8")).length;
      child.kill("SIGHUP");
      await vi.waitFor(async () => expect((await readFile(log, "utf8")).slice(from)).toMatch(applied), WAIT);
    };
    expect(await setLevel("debug")).toEqual({ before: "info" });
    // The file has not changed; what runs has.
    await reloaded("info", /"applied":\["log_level"\].*config reloaded/);
    expect(await setLevel("debug")).toEqual({ before: "info" });
    await reloaded("debug", /"result":"unchanged","applied":\[\].*config reloaded/);
    expect(await setLevel("info")).toEqual({ before: "debug" });
    child.kill("SIGTERM");
    expect(await exitCode(child)).toBe(0);
  });

  test("drains when the parent that spawned it is gone", async () => {
    const { child } = await start("serve");
    child.disconnect();
    expect(await exitCode(child)).toBe(0);
  });

  test("exits 1 with the cause in its log when a promise is left to reject", async () => {
    const { child, log } = await start("reject");
    expect(await exitCode(child)).toBe(1);
    expect(await readFile(log, "utf8")).toContain("left to reject");
  });

  test("exits 2 and names every problem of a bad config", async () => {
    const folder = await mkdtemp(join(tmpdir(), "adit-role-"));
    const config = join(folder, "bad.toml");
    await writeFile(config, 'mod = "serve"\n');
    const child = fork(sample, ["-c", config], {
      execArgv: ["--import", "tsx", "--conditions=@adit/source"],
      silent: true,
    });
    let text = "";
    child.stderr?.on("data", (chunk: Buffer) => {
      text += chunk.toString();
    });
    expect(await exitCode(child)).toBe(2);
    expect(text).toContain("mod: unknown key (did you mean mode?)");
  });
});
