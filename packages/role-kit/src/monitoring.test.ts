import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { expect, test, vi } from "vitest";
import { metricsRegister } from "./metrics.ts";
import { type Monitoring, serveMonitoring, splitAddress } from "./monitoring.ts";

async function serve(): Promise<Monitoring> {
  return await serveMonitoring("127.0.0.1:0", {
    role: "test",
    version: "0",
    metrics: metricsRegister(),
    notReadyReason: () => null,
    status: () => ({}),
  });
}

async function dial({ address }: Monitoring): Promise<Socket> {
  const socket = connect(splitAddress(address).port, "127.0.0.1");
  socket.on("error", () => {});
  await once(socket, "connect");
  return socket;
}

test("a connection that has been answered and asks no more is closed within seconds, not kept", async () => {
  await using monitoring = await serve();
  const socket = await dial(monitoring);
  let answer = "";
  socket.setEncoding("utf8").on("data", (text: string) => {
    answer += text;
  });
  socket.write("GET /api/v1/health HTTP/1.1\r\nHost: a\r\n\r\n");
  await vi.waitFor(() => expect(answer).toMatch(/^HTTP\/1\.1 200 [\s\S]*"status":"ok"/), 10_000);
  await vi.waitFor(() => expect(socket.closed).toBe(true), { timeout: 20_000, interval: 100 });
});

test("a connection is closed after a thousand requests", async () => {
  await using monitoring = await serve();
  const socket = await dial(monitoring);
  let answers = "";
  socket.setEncoding("latin1").on("data", (text: string) => {
    answers += text;
  });
  socket.write("GET /api/v1/health HTTP/1.1\r\nHost: a\r\n\r\n".repeat(1_500));
  await vi.waitFor(() => expect(socket.closed).toBe(true), { timeout: 20_000, interval: 50 });
  expect(answers.split("HTTP/1.1 200").length - 1).toBeLessThanOrEqual(1_000);
});

test("of a crowd no more than 64 are held at once", async () => {
  await using monitoring = await serve();
  const crowd = await Promise.all(Array.from({ length: 200 }, () => dial(monitoring)));
  for (const socket of crowd) socket.resume();
  await vi.waitFor(() => expect(crowd.filter(({ closed }) => !closed).length).toBeLessThanOrEqual(64), 10_000);
  for (const socket of crowd) socket.destroy();
});
