import { createSocket } from "node:dgram";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer, Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseTicket } from "@adit/network-helpers/iroh";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type RunningCommand, startNode } from "./harness/command.ts";
import { processesWith } from "./harness/process-list.ts";
import { leaks, secretsBelow, textsBelow } from "./harness/secrets.ts";
import { until } from "./harness/until.ts";

const roleNames = ["template-provider", "pool", "translator", "mining-device"];
/** What `--with-jd` adds: the miner's own template provider, and the jd-client. */
const jdNames = ["miner-template-provider", "jd-client"];

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "adit-demo-"));
});

afterEach(async () => {
  for (const { pid } of processesWith(folder)) process.kill(pid, "SIGKILL");
  await rm(folder, { recursive: true, force: true });
});

/** What `npm start -- ARGS` runs. */
function start(...args: string[]): RunningCommand {
  return startNode(["scripts/start.mjs", ...args, "--json", "--dir", folder]);
}

function pidOf(role: string): number | undefined {
  return processesWith(join(folder, role, `${role}.toml`))[0]?.pid;
}

async function ready(role: string): Promise<void> {
  await until(`${role} is ready`, () => log(role).includes('"msg":"ready"'), 90_000);
}

function log(role: string): string {
  try {
    return readFileSync(join(folder, role, `${role}.log`), "utf8");
  } catch {
    return "";
  }
}

/** Every address a role of the demo said it listens on. */
function addresses(): { readonly tcp: readonly string[]; readonly udp: readonly string[] } {
  const logs = [...roleNames, ...jdNames].map(log).join("");
  const matches = (pattern: RegExp): string[] => [...logs.matchAll(pattern)].map(([, found = ""]) => found);
  const tickets = new Set(matches(/"ticket":"(endpoint\w+)"/g));
  return {
    tcp: [...new Set(matches(/"(?:monitoring|downstream_address|address)":"(127\.0\.0\.1:\d+)"/g))],
    udp: [...tickets].flatMap((ticket) => parseTicket(ticket).addresses),
  };
}

/** Nothing of the demo runs any more, and what it listened on can be listened on. */
async function expectNothingLeft(): Promise<void> {
  expect(processesWith(folder)).toEqual([]);
  const { tcp, udp } = addresses();
  expect(tcp.length).toBeGreaterThanOrEqual(2);
  for (const address of [...tcp, ...udp]) {
    // A process lets go of its sockets a moment after it has left the list.
    await until(`${address} is free`, () => canListen(address, udp.includes(address)), 10_000);
  }
}

async function canListen(address: string, isUdp: boolean): Promise<true> {
  const port = Number(address.slice(address.lastIndexOf(":") + 1));
  const host = address.startsWith("[") ? "::1" : "127.0.0.1";
  const socket = isUdp ? createSocket(host === "::1" ? "udp6" : "udp4") : createServer();
  if (socket instanceof Server) socket.listen(port, host);
  else socket.bind(port, host);
  await once(socket, "listening");
  socket.close();
  return true;
}

test("the demo finds two blocks over Iroh, says so in its last line, and leaves nothing behind", {
  timeout: 330_000,
}, async () => {
  const { code, stdout, stderr } = await start("--blocks", "2", "--timeout", "300").ended;
  expect(stderr).not.toMatch(/adit demo:/);
  const result = JSON.parse(stdout.trimEnd().split("\n").at(-1) ?? "") as Record<string, unknown>;
  expect(Object.keys(result)).toEqual([
    "blocks",
    "shares_accepted",
    "shares_rejected",
    "declared_jobs",
    "custom_job_shares",
    "upstream_transport",
    "upstream_path",
    "tip_height",
    "seconds",
  ]);
  expect(result).toMatchObject({ upstream_transport: "iroh", upstream_path: "direct" });
  expect(result).toMatchObject({ declared_jobs: 0, custom_job_shares: 0 });
  expect(result["shares_rejected"]).toBeLessThanOrEqual(result["blocks"] as number);
  expect(result["blocks"]).toBeGreaterThanOrEqual(2);
  expect(result["tip_height"]).toBeGreaterThanOrEqual(2);
  expect(result["shares_accepted"]).toBeGreaterThan(0);
  expect(result["seconds"]).toBeGreaterThan(0);
  expect(code).toBe(0);
  expect(addresses().tcp.length).toBeGreaterThanOrEqual(7);
  expect(addresses().udp.length).toBeGreaterThanOrEqual(2);
  await expectNothingLeft();
  const texts = new Map([...textsBelow(folder), ["stdout", stdout], ["stderr", stderr]]);
  expect(leaks(secretsBelow(folder), texts)).toEqual([]);
});

test("with job declaration, every share is of a template that the miner chose, and its blocks are on the pool's chain", {
  timeout: 330_000,
}, async () => {
  const { code, stdout, stderr } = await start("--with-jd", "--blocks", "2", "--timeout", "300").ended;
  expect(stderr).not.toMatch(/adit demo:/);
  const result = JSON.parse(stdout.trimEnd().split("\n").at(-1) ?? "") as Record<string, number | string>;
  expect(code).toBe(0);
  expect(result).toMatchObject({ upstream_transport: "iroh", upstream_path: "direct" });
  expect(result["blocks"]).toBeGreaterThanOrEqual(2);
  expect(result["declared_jobs"]).toBeGreaterThanOrEqual(2);
  expect(result["custom_job_shares"]).toBeGreaterThan(0);
  expect(result["custom_job_shares"]).toBe(result["shares_accepted"]);
  // Pool and miner have a chain of one make: a block of it came over both sides' nodes.
  expect(log("pool")).toContain('"msg":"job declared"');
  expect(log("jd-client")).toMatch(/"result":"accepted","msg":"block accepted"/);
  await expectNothingLeft();
  const texts = new Map([...textsBelow(folder), ["stdout", stdout], ["stderr", stderr]]);
  expect(leaks(secretsBelow(folder), texts)).toEqual([]);
});

test("Ctrl-C stops the demo and leaves nothing behind", async () => {
  const demo = start();
  await ready("mining-device");
  expect(roleNames.map(pidOf)).not.toContain(undefined);
  process.kill(-demo.pid, "SIGINT");
  const { code, stderr } = await demo.ended;
  expect(stderr).not.toMatch(/adit demo:|Error/);
  expect(code).toBe(130);
  await expectNothingLeft();
});

test.each(["SIGINT", "SIGTERM"] as const)(
  "%s to the command alone stops a demo that is still starting",
  async (signal) => {
    const demo = start();
    await ready("template-provider");
    process.kill(demo.pid, signal);
    const { code, stderr } = await demo.ended;
    expect(stderr).not.toMatch(/adit demo:|Error/);
    expect(code).toBe(130);
    await expectNothingLeft();
  },
);

test("a role that dies ends the demo with its name, and the others with it", async () => {
  const demo = start();
  await ready("pool");
  process.kill(pidOf("pool") ?? 0, "SIGKILL");
  const { code, stderr } = await demo.ended;
  expect(stderr).toMatch(/adit demo: pool ended \(SIGKILL\); see .*pool\.log\n$/);
  expect(code).toBe(1);
  await expectNothingLeft();
});

test("a killed demo takes its roles with it", async () => {
  const demo = start();
  await ready("pool");
  process.kill(-demo.pid, "SIGKILL");
  await demo.ended;
  await until("the roles drain", () => processesWith(folder).length === 0, 30_000);
  await expectNothingLeft();
});

test("a demo whose time runs out says so", async () => {
  const { code, stdout, stderr } = await start("--blocks", "1000", "--timeout", "1").ended;
  expect(stderr).toMatch(/adit demo: not done after 1 s\n$/);
  expect(JSON.parse(stdout.trimEnd().split("\n").at(-1) ?? "")).toMatchObject({ blocks: 0 });
  expect(code).toBe(1);
  expect(processesWith(folder)).toEqual([]);
});
