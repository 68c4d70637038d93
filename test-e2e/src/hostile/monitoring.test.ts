import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { poolToml, sv1MinerToml, templateProviderToml, translatorToml, upstream } from "../harness/configs.ts";
import { Stage } from "../harness/stage.ts";
import type { TestRole } from "../harness/test-role.ts";
import { until } from "../harness/until.ts";

/** The listener's own deadlines are five and ten seconds; a busy machine adds to them. */
const CLOSED_MS = 30_000;

let stage: Stage;
let roles: readonly TestRole[];
let pool: TestRole;
let sharesBefore = 0;

beforeAll(async () => {
  stage = await Stage.open();
  const templateProvider = await stage.start("template-provider", (folder) => templateProviderToml(folder));
  pool = await stage.start("pool", (folder) => poolToml(folder, templateProvider));
  const translator = await stage.start("translator", (folder) => translatorToml(folder, [upstream(pool, "tcp")]));
  const miner = await stage.start("mining-device", () => sv1MinerToml(translator));
  roles = [templateProvider, pool, translator, miner];
});

afterAll(() => stage[Symbol.asyncDispose]());

beforeEach(async () => {
  sharesBefore = (await pool.status()).shares_accepted;
});

/** Every role serves on, and so does its monitoring. */
afterEach(async () => {
  for (const role of roles) await until(`${role.name} answers`, async () => (await role.status()).role === role.name);
  await until("shares go on", async () => (await pool.status()).shares_accepted > sharesBefore);
});

function portOf(role: TestRole): number {
  return Number(role.monitoringAddress.split(":").at(-1));
}

async function dial(role: TestRole): Promise<Socket> {
  const socket = connect(portOf(role), "127.0.0.1");
  socket.on("error", () => {}).resume();
  await once(socket, "connect");
  return socket;
}

async function closed(sockets: readonly Socket[]): Promise<void> {
  await until("all are closed", () => sockets.every((socket) => socket.closed || socket.readableEnded), CLOSED_MS);
}

/** What the listener answers to bytes, until it closes. */
async function answerTo(role: TestRole, bytes: string): Promise<string> {
  const socket = await dial(role);
  let answer = "";
  socket.on("data", (chunk: Buffer) => {
    answer += chunk.toString("latin1");
  });
  socket.write(bytes);
  await until(
    "an answer or the end",
    () => /\r\n\r\n/.test(answer) || socket.closed || socket.readableEnded,
    CLOSED_MS,
  );
  socket.destroy();
  return answer.split("\r\n")[0] ?? "";
}

/** Does the same to every role at once. */
async function toEach(attack: (role: TestRole) => Promise<void>): Promise<void> {
  await Promise.all(roles.map(attack));
}

describe("the monitoring of every role", () => {
  test("hangs up on those who take their time, at every step, while it answers others", () =>
    toEach(async (role) => {
      const beginnings = [
        "",
        "G",
        "GET / HTTP/1.1\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: ",
        "GET /metrics HTTP/1.1\r\nHost: a\r\n",
      ];
      const post = "POST /api/v1/status HTTP/1.1\r\nHost: a\r\nContent-Length: 900\r\n\r\n";
      const slow = await Promise.all([...beginnings, post].map(async (text) => [await dial(role), text] as const));
      for (const [socket, text] of slow) socket.write(text);
      // A byte a second keeps an idle timer from ever running out.
      const drip = setInterval(() => {
        for (const [socket] of slow.slice(1)) if (socket.writable) socket.write("x");
      }, 1000);
      await closed(slow.map(([socket]) => socket));
      clearInterval(drip);
    }));

  test("answers what is too large or no request with a fault, and nothing of a file", () =>
    toEach(async (role) => {
      const big = "x".repeat(1_000_000);
      const host = "Host: a\r\n\r\n";
      const answers = await Promise.all(
        [
          `GET /${big} HTTP/1.1\r\n${host}`,
          `GET / HTTP/1.1\r\nX-Big: ${big}\r\n${host}`,
          `GET / HTTP/1.1\r\n${"A: b\r\n".repeat(50_000)}${host}`,
          `POST /api/v1/status HTTP/1.1\r\nContent-Length: 1000000\r\n${host}${big}`,
          "\u0016\u0003\u0001\u0002\u0000\u0001 not HTTP\r\n\r\n",
          `GET /../../../../etc/passwd HTTP/1.1\r\n${host}`,
          `GET /api/v1/%2e%2e/%2e%2e/config.toml HTTP/1.1\r\n${host}`,
          `GET /%ff%fe%00 HTTP/1.1\r\n${host}`,
          ...["PUT", "DELETE", "TRACE", "OPTIONS", "CONNECT"].map((method) => `${method} /metrics HTTP/1.1\r\n${host}`),
        ].map((bytes) => answerTo(role, bytes)),
      );
      // Closed without a word is an answer, too.
      for (const answer of answers) expect(answer).toMatch(/^$|^HTTP\/1\.1 4\d\d /);
    }));

  test("holds 64 connections at most, and is there again when they go", () =>
    toEach(async (role) => {
      const crowd = Array.from({ length: 300 }, () => connect(portOf(role), "127.0.0.1"));
      for (const socket of crowd) socket.on("error", () => {}).resume();
      await until("each is in or out", () => crowd.every((socket) => !socket.connecting));
      const open = (): number => crowd.filter((socket) => !socket.closed && !socket.readableEnded).length;
      await until("the others are turned away", () => open() <= 64, CLOSED_MS);
      await closed(crowd);
    }));

  test("takes a flood of requests on one connection, and does not keep it for ever", () =>
    toEach(async (role) => {
      const socket = await dial(role);
      let answered = 0;
      socket.on("data", (chunk: Buffer) => {
        answered += chunk.toString("latin1").split("HTTP/1.1 200").length - 1;
      });
      socket.write("GET /api/v1/health HTTP/1.1\r\nHost: a\r\n\r\n".repeat(2000));
      await until("answers", () => answered > 0 && (answered >= 1000 || socket.closed), CLOSED_MS);
      await closed([socket]);
    }));
});

test("names of peers do not become labels without end", async () => {
  for (const role of roles) {
    const page = await role.metrics();
    const series = page.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
    expect(series.length, role.name).toBeLessThan(1000);
  }
});
