import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { runAdit } from "./harness/command.ts";
import { poolToml, sv1MinerToml, templateProviderToml, translatorToml, upstream } from "./harness/configs.ts";
import { Stage } from "./harness/stage.ts";
import type { TestRole } from "./harness/test-role.ts";
import { until } from "./harness/until.ts";

let stage: Stage;
let keys: string;
let key: string;
let templateProvider: TestRole;
let pool: TestRole;
let miner: TestRole;
let translator: TestRole;
let translatorTicket: string;
let poolTicket: string;

/** The `[rpc]` table that lets the operator's key call everything over Iroh. */
const rpc = (allowed: string): string => `\n[rpc]\nallowed_peers = ["${allowed}"]\n`;

const RPC_OVER_HTTP = '\n[rpc]\nhttp = ["health", "status", "metrics", "control"]\n';

/** The ticket that a role with RPC logs at its start. */
async function ticketOf(role: TestRole): Promise<string> {
  return (JSON.parse(await role.logged(/rpc served over iroh/)) as { readonly ticket: string }).ticket;
}

beforeAll(async () => {
  keys = await mkdtemp(join(tmpdir(), "adit-operator-"));
  key = join(keys, "deep", "rpc.key");
  const { stdout } = await runAdit(["keys", "rpc", "--key", key]);
  const operator = stdout.trim();
  stage = await Stage.open();
  templateProvider = await stage.start("template-provider", (folder) => templateProviderToml(folder));
  pool = await stage.start("pool", (folder) => `${poolToml(folder, templateProvider)}${rpc(operator)}`);
  // Its transports are TCP only: Iroh is there for the operator alone.
  translator = await stage.start("translator", (folder) => {
    return `${translatorToml(folder, [upstream(pool, "tcp")])}${rpc(operator)}`;
  });
  // Without one the translator lets its upstream go.
  miner = await stage.start("mining-device", () => `${sv1MinerToml(translator)}${RPC_OVER_HTTP}`);
  [poolTicket, translatorTicket] = await Promise.all([ticketOf(pool), ticketOf(translator)]);
});

afterAll(async () => {
  await stage[Symbol.asyncDispose]();
  await rm(keys, { recursive: true, force: true });
});

describe("an operator", () => {
  test("has a key that is made once, for its owner only, and printed as an endpoint id", async () => {
    const again = await runAdit(["keys", "rpc", "--key", key]);
    expect(again).toMatchObject({ code: 0, stdout: expect.stringMatching(/^[0-9a-f]{64}\n$/) as string, stderr: "" });
    expect((await stat(key)).mode & 0o777).toBe(0o600);
    expect(again.stdout).not.toContain((await readFile(key, "utf8")).trim());
  });

  test("sees a translator over Iroh by its ticket, and by its endpoint id and address", async () => {
    const { endpoint_id } = translator.details;
    const port = /"addresses":\["127\.0\.0\.1:(\d+)"/.exec(await translator.logged(/iroh node up/))?.[1] ?? "";
    for (const target of [translatorTicket, `${endpoint_id}?addr=127.0.0.1:${port}`]) {
      const { code, stdout, stderr } = await runAdit(["status", target, "--key", key]);
      expect([code, stderr]).toEqual([0, ""]);
      expect(stdout).toMatch(/^translator \S+ {2}up .* {2}ready\n/);
      expect(stdout).toContain("upstream   connected, tcp");
    }
  });

  test("is refused with another key, and told which one to allow", async () => {
    const other = join(keys, "other.key");
    const { stdout } = await runAdit(["keys", "rpc", "--key", other]);
    const { code, stderr } = await runAdit(["status", translatorTicket, "--key", other]);
    expect(code).toBe(1);
    expect(stderr).toContain(`this side is ${stdout.trim()}: it must be among allowed_peers`);
    expect(translator.isRunning).toBe(true);
  });

  test("sees a pool over HTTP on its machine, but cannot control it there", async () => {
    const url = `http://${pool.monitoringAddress}`;
    const { code, stdout } = await runAdit(["status", url, "--json", "--entries", "1", "--key", key]);
    expect(code).toBe(0);
    const status = JSON.parse(stdout) as { readonly document: { readonly connections: unknown[] } };
    expect(status).toMatchObject({ role: "pool", ready: true, cut: { connections: 2, listeners: 2 } });
    expect(status.document.connections).toHaveLength(1);
    const drain = await runAdit(["control", url, "drain", "--key", key]);
    expect([drain.code, drain.stderr]).toEqual([1, expect.stringContaining("control.drain is served over HTTP")]);
    expect(pool.isRunning).toBe(true);
  });

  test("sees several roles at once, printed once where there is no terminal, and what is wrong with one", async () => {
    const urls = [pool, templateProvider, miner].map((role) => `http://${role.monitoringAddress}`);
    const all = await runAdit(["top", translatorTicket, ...urls, "--key", key]);
    expect([all.code, all.stderr]).toEqual([0, ""]);
    expect(all.stdout).toMatch(/^[0-9a-f]{10}… {2}translator .*ready$/m);
    for (const name of ["pool", "template-provider", "mining-device"]) {
      expect(all.stdout).toMatch(new RegExp(`^127\\.0\\.0\\.1:\\d+ {2}${name} .*ready$`, "m"));
    }
    expect(all.stdout).not.toContain("\u001b");
    const one = await runAdit(["top", poolTicket, "http://127.0.0.1:1", "--key", key]);
    expect([one.code, one.stdout]).toEqual([
      1,
      expect.stringMatching(/127\.0\.0\.1:1 {2}no answer\n.*cannot be reached/),
    ]);
  });

  test("sets a log level, and breaks a connection off that comes back by itself", async () => {
    const level = await runAdit(["control", translatorTicket, "log-level", "info", "--key", key]);
    expect(level).toMatchObject({ code: 0, stdout: "log level info, before debug\n" });
    const [before] = (await translator.status()).connections;
    const gone = await runAdit(["control", translatorTicket, "disconnect", String(before?.id), "--key", key]);
    expect(gone).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^disconnected 127\.0\.0\.1:\d+\n$/) as string,
    });
    await until("another upstream connection", async () => {
      const [after] = (await translator.status()).connections;
      return after !== undefined && after.id !== before?.id;
    });
    const none = await runAdit(["control", translatorTicket, "disconnect", "1000000", "--key", key]);
    expect([none.code, none.stderr]).toEqual([1, expect.stringContaining("no connection has the id 1000000")]);
  });

  test("breaks off a miner over Stratum V1, from either side", async () => {
    const minerId = async () => (await translator.status()).miners[0]?.id;
    const before = await minerId();
    const peer = /^disconnected 127\.0\.0\.1:\d+\n$/;
    const { code, stdout } = await runAdit(["control", translatorTicket, "disconnect", String(before), "--key", key]);
    expect([code, stdout]).toEqual([0, expect.stringMatching(peer)]);
    await until("it is back under another id", async () => {
      const after = await minerId();
      return after !== undefined && after !== before;
    });
    const connectionId = async () => (await miner.status()).connections[0]?.connection_id;
    const own = await until("the device is connected", async () => (await connectionId()) ?? undefined);
    const url = `http://${miner.monitoringAddress}`;
    expect(await runAdit(["control", url, "disconnect", String(own), "--key", key])).toMatchObject({ code: 0 });
    await until("another connection", async () => {
      const after = await connectionId();
      return typeof after === "number" && after !== own;
    });
  });

  test("has a role read its config anew, and hands his rights over by it", async () => {
    const reload = (by: string) => runAdit(["control", translatorTicket, "reload", "--key", by]);
    // The level that was set before is not the file's.
    expect(await reload(key)).toMatchObject({ code: 0, stdout: "applied\nin force: log_level\n" });
    expect(await reload(key)).toMatchObject({ code: 0, stdout: "unchanged\n" });
    const successor = join(keys, "successor.key");
    const id = (await runAdit(["keys", "rpc", "--key", successor])).stdout.trim();
    const config = join(dirname(translator.logFile), "config.toml");
    const before = await readFile(config, "utf8");
    await writeFile(config, before.replace(/allowed_peers = \["\w+"\]/, `allowed_peers = ["${id}"]`));
    // The answer may be lost with the right to it.
    await reload(key);
    await translator.logged(/"applied":\["rpc.allowed_peers"\]/);
    expect(await reload(successor)).toMatchObject({ code: 0, stdout: "unchanged\n" });
    expect((await runAdit(["status", translatorTicket, "--key", key])).code).toBe(1);
    await writeFile(config, before);
    await reload(successor);
    await until("the operator is back", async () => (await reload(key)).code === 0);
    await writeFile(config, `${before}nonsense = 1\n`);
    const refused = await reload(key);
    expect([refused.code, refused.stderr]).toEqual([
      1,
      expect.stringMatching(/refused, nothing has changed\n.*nonsense/),
    ]);
    await writeFile(config, before);
  });

  test.each([
    [["status"], "usage: adit status"],
    [["status", "not a target"], "a target is an endpoint id"],
    [["status", "http://127.0.0.1:1", "--entries", "-1"], "--entries"],
    [["status", "http://127.0.0.1:1", "--timeout", "0"], "--timeout"],
    [["status", "http://127.0.0.1:1", "--relay", "somewhere"], "--relay"],
    [["top"], "usage: adit top"],
    [["top", "http://127.0.0.1:1", "--interval", "x"], "--interval"],
    [["control", "http://127.0.0.1:1", "explode"], "usage: adit control"],
    [["control", "http://127.0.0.1:1", "log-level", "loud"], "usage: adit control"],
    [["control", "http://127.0.0.1:1", "disconnect"], "usage: adit control"],
  ])("is told what is wrong with %j", async (args, complaint) => {
    const { code, stdout, stderr } = await runAdit(args);
    expect(stderr).toContain(complaint);
    expect(stderr).not.toMatch(/^ +at /m);
    expect([code, stdout]).toEqual([args[1] === "not a target" ? 1 : 2, ""]);
  });

  test("drains a translator over Iroh: it stops with exit code 0, and its pool goes on", async () => {
    const { code, stdout } = await runAdit(["control", translatorTicket, "drain", "--key", key]);
    expect([code, stdout]).toEqual([0, "draining: the role finishes what is under way and stops\n"]);
    expect(await translator.exited()).toBe(0);
    expect(translator.log()).toMatch(/asked by [0-9a-f]{64} over iroh.*"msg":"draining"/);
    expect(translator.logLines().at(-1)?.msg).toBe("stopped");
    expect((await pool.status()).role).toBe("pool");
  });
});
