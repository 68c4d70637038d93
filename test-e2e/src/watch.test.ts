import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseTicket } from "@adit/network-helpers/iroh";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { runAdit, startNode } from "./harness/command.ts";
import { poolToml, templateProviderToml, translatorToml, upstream } from "./harness/configs.ts";
import { Stage } from "./harness/stage.ts";
import { aditMain, sourceFlags, type TestRole } from "./harness/test-role.ts";
import { until } from "./harness/until.ts";

let stage: Stage;
let keys: string;
let operatorKey: string;
let templateProvider: TestRole;
let pool: TestRole;
let translator: TestRole;
let watch: TestRole;
/** Starts the translator, at the place of the one before. */
let startTranslator: () => Promise<TestRole>;

/** The `[rpc]` table that lets keys call everything over Iroh. */
const rpc = (allowed: readonly string[]): string => `\n[rpc]\nallowed_peers = ${JSON.stringify(allowed)}\n`;

/** The ticket under which a role logs that it answers calls. */
async function ticketOf(role: TestRole): Promise<string> {
  return (JSON.parse(await role.logged(/rpc served over iroh/)) as { readonly ticket: string }).ticket;
}

const configOf = (role: TestRole): string => role.logFile.replace(/[^/]+$/, "config.toml");
const onFarm = (command: string, ...args: string[]): string[] => [
  command,
  "-c",
  configOf(watch),
  "--key",
  operatorKey,
  ...args,
];
const up = async (target: string): Promise<number> => await watch.sample(`sv2_watch_up{target="${target}"}`);
const isUp = async (target: string): Promise<boolean> => (await up(target)) === 1;
const isDown = async (target: string): Promise<boolean> => (await up(target)) === 0;

beforeAll(async () => {
  keys = await mkdtemp(join(tmpdir(), "adit-watch-"));
  operatorKey = join(keys, "operator.key");
  const watchKey = join(keys, "watch.key");
  const ids = await Promise.all(
    [operatorKey, watchKey].map(async (key) => (await runAdit(["keys", "rpc", "--key", key])).stdout.trim()),
  );
  stage = await Stage.open();
  templateProvider = await stage.start("template-provider", (folder) => templateProviderToml(folder));
  pool = await stage.start("pool", (folder) => `${poolToml(folder, templateProvider)}${rpc(ids)}`);
  let udp: readonly string[] | undefined;
  startTranslator = async () => {
    const options = udp === undefined ? {} : { udp };
    // Its transports are TCP only: Iroh is there for its operator and the watch alone.
    const role = await stage.start(
      "translator",
      (folder) => `${translatorToml(folder, [upstream(pool, "tcp")], options)}${rpc(ids)}`,
    );
    udp = parseTicket(await ticketOf(role)).addresses;
    return role;
  };
  translator = await startTranslator();
  const targets = [
    ["north", await ticketOf(translator)],
    ["pool", await ticketOf(pool)],
    ["templates", `http://${templateProvider.monitoringAddress}`],
  ].map(([name, target]) => `[[targets]]\nname = "${name}"\ntarget = "${target}"\n`);
  watch = await stage.start(
    "watch",
    () => `
monitoring_address = "127.0.0.1:0"
log_level = "debug"
interval_secs = 0.5
answer_timeout_secs = 5
${targets.join("\n")}
[peers]
breaker_failures = 2
breaker_open_secs = 2
[iroh]
secret_key_path = "${watchKey}"
relay = "disabled"
bind = ["127.0.0.1:0", "[::1]:0"]
`,
  );
});

afterAll(async () => {
  await stage[Symbol.asyncDispose]();
  await rm(keys, { recursive: true, force: true });
});

describe("a watch", () => {
  test("serves the metrics of every role on one page, those over Iroh included, each with its name", async () => {
    await until("all are up", async () => (await Promise.all(["north", "pool", "templates"].map(isUp))).every(Boolean));
    const page = await watch.metrics();
    for (const target of ["north", "pool", "templates"]) {
      expect(page).toMatch(new RegExp(`^process_cpu_seconds_total\\{target="${target}"\\} \\d`, "m"));
      expect(page).toContain(`sv2_watch_ready{target="${target}"} 1\n`);
      expect(page).toContain(`sv2_watch_refused_lines{target="${target}"} 0\n`);
    }
    expect(page).toMatch(/^sv2_connections\{target="pool",.*transport="tcp".*\} 1$/m);
    expect(page).toMatch(/^process_cpu_seconds_total \d/m);
    const heads = page.split("\n").filter((line) => line.startsWith("# TYPE "));
    expect(new Set(heads).size).toBe(heads.length);
  });

  test("shows how each role is in its status, and the connections to them", async () => {
    const status = (await watch.status()) as unknown as Record<string, unknown>;
    expect(status["targets"]).toMatchObject([
      { name: "north", state: "up", breaker: "closed", role: "translator", trouble: null },
      { name: "pool", state: "up", breaker: "closed", role: "pool", ready: true },
      { name: "templates", state: "up", breaker: "closed", role: "template-provider", ready: true },
    ]);
    expect(status["peer_connections"]).toMatchObject({ connections: { open: 3 }, totals: { dials: 3 } });
    const own = await runAdit(["status", `http://${watch.monitoringAddress}`]);
    expect([own.code, own.stderr]).toEqual([0, ""]);
    expect(own.stdout).toMatch(/^watch \S+ {2}up .* {2}ready\n {2}targets {4}3\n/);
  });

  test("leaves a role alone that is gone, goes on with the others, and has it back by itself", async () => {
    const before = watch.log().length;
    await translator.crash();
    await until("the translator is down", () => isDown("north"));
    await watch.logged(/"event":"breaker-opened","peer":"north"/, before);
    const page = await watch.metrics();
    expect(page).not.toMatch(/^process_\w+\{target="north"/m);
    const looks = (target: string) => watch.sample(`sv2_watch_looks_total{target="${target}",result="ok"}`);
    const [poolLooks, templateLooks] = [await looks("pool"), await looks("templates")];
    await until("a trial", () => watch.logged(/"event":"breaker-half-opened","peer":"north"/, before));
    await until("others are looked at", async () => {
      return (await looks("pool")) > poolLooks + 2 && (await looks("templates")) > templateLooks + 2;
    });
    const top = await runAdit(onFarm("top", "--timeout", "2"));
    expect(top.code).toBe(1);
    expect(top.stdout).toMatch(/^north {2}no answer\n {2}\S/m);
    expect(top.stdout).toMatch(/^pool {2}pool .*ready$/m);
    expect(top.stdout).toMatch(/^templates {2}template-provider .*ready$/m);
    translator = await startTranslator();
    await until("the translator is back", () => isUp("north"));
    await watch.logged(/"event":"breaker-closed","peer":"north"/, before);
    const since = watch.log().slice(before);
    expect(since.match(/"event":"target-(up|down)","target":"\w+"/g)).toEqual([
      '"event":"target-down","target":"north"',
      '"event":"target-up","target":"north"',
    ]);
    expect(since).not.toMatch(/"event":"breaker-\w+","peer":"(pool|templates)"/);
    expect(await watch.metrics()).toMatch(/^process_cpu_seconds_total\{target="north"\} \d/m);
    expect(await watch.sample("sv2_peer_breakers_opened_total")).toBeGreaterThanOrEqual(1);
  });

  test("takes over other targets when it reads its config anew", async () => {
    const without = await watch.reload((toml) => toml.replace('name = "templates"', 'name = "chain"'));
    expect(without).toMatch(/"applied":\["targets"\]/);
    await until("the new name is up", () => isUp("chain"));
    expect(await watch.metrics()).not.toMatch(/^(?:process_|sv2_watch_up).*"templates"/m);
    const back = await watch.reload((toml) => toml.replace('name = "chain"', 'name = "templates"'));
    expect(back).toMatch(/"applied":\["targets"\]/);
    await until("the old name is up", () => isUp("templates"));
    const text = await readFile(configOf(watch), "utf8");
    const twice = await watch.reload((toml) => toml.replace('name = "pool"', 'name = "north"'));
    expect(twice).toMatch(/expected another name: north is taken/);
    await writeFile(configOf(watch), text);
  });
});

describe("an operator with the file of the watch", () => {
  test("asks all of its roles at once, or those he names", async () => {
    const all = await runAdit(onFarm("status", "--json", "--entries", "1"));
    expect([all.code, all.stderr]).toEqual([0, ""]);
    const lines = all.stdout.trim().split("\n");
    expect(lines.map((line) => JSON.parse(line) as unknown)).toMatchObject([
      { target: "north", status: { role: "translator" }, trouble: null },
      { target: "pool", status: { role: "pool" } },
      { target: "templates", status: { role: "template-provider" } },
    ]);
    const one = await runAdit(onFarm("status", "--target", "pool"));
    expect([one.code, one.stdout]).toEqual([0, expect.stringMatching(/^pool {2}pool \S+ {2}up /) as string]);
    expect(one.stdout).not.toContain("north");
  });

  test("has an order wait for a role that is away, and not for the others", async () => {
    await translator.crash();
    const args = onFarm("control", "--timeout", "1", "--target", "north", "--target", "pool", "log-level", "info");
    const command = startNode([...sourceFlags, aditMain, ...args]);
    await pool.logged(/"service":"control","method":"log_level"/);
    await until("the order waits", () => /^north {2}waits until it can be reached: .+\n$/.test(command.stderr()));
    translator = await startTranslator();
    const { code, stdout } = await command.ended;
    expect([code, stdout]).toEqual([0, "pool  log level info, before debug\nnorth  log level info, before debug\n"]);
  });

  test("is told what a role does not let him do", async () => {
    const { code, stdout } = await runAdit(onFarm("control", "--all", "reload"));
    expect(code).toBe(1);
    expect(stdout).toMatch(/^north {2}(?:unchanged|applied)$/m);
    expect(stdout).toMatch(/^pool {2}(?:unchanged|applied)$/m);
    expect(stdout).toMatch(/^templates {2}.*control\.reload.*not served|^templates {2}no method control\.reload/m);
  });

  test.each([
    [["control", "-c", "FILE", "drain"], "usage: adit control"],
    [["control", "-c", "FILE", "--all", "--target", "pool", "drain"], "usage: adit control"],
    [["control", "-c", "FILE", "--target", "south", "drain"], "--target south: the file has north, pool, templates"],
    [["top", "-c", "FILE", "http://127.0.0.1:1"], "give either targets, or -c FILE"],
    [["status", "--target", "pool", "http://127.0.0.1:1"], "--target names targets of the file"],
  ])("is told what is wrong with %j", async (args, complaint) => {
    const { code, stderr } = await runAdit(args.map((one) => (one === "FILE" ? configOf(watch) : one)));
    expect([code, stderr]).toEqual([2, expect.stringContaining(complaint) as string]);
  });

  test("drains many at once: each stops with exit code 0", async () => {
    const { code, stdout } = await runAdit(onFarm("control", "--target", "pool", "--target", "north", "drain"));
    expect(code).toBe(0);
    expect(stdout.match(/^(pool|north) {2}draining: /gm)).toHaveLength(2);
    expect(await Promise.all([pool.exited(), translator.exited()])).toEqual([0, 0]);
    await until("both are down", async () => (await isDown("pool")) && (await isDown("north")));
    expect(await watch.stop()).toBe(0);
  });
});
