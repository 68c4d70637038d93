import { tcp } from "@adit/network-helpers/tcp";
import { expect, test, vi } from "vitest";
import { MinerConnection } from "./miner-connection.ts";

async function pair(maxOutboundBytes: number) {
  const controller = new AbortController();
  const listener = await tcp().listen("127.0.0.1:0", { signal: controller.signal });
  const miner = await tcp().dial(listener.address, { signal: controller.signal });
  for await (const stream of listener.streams) {
    const lines: string[] = [];
    const onLine = (line: string): void => void lines.push(line);
    const connection = new MinerConnection(stream, { maxLineBytes: 4096, maxOutboundBytes, onLine });
    return { miner, connection, lines, stop: () => controller.abort() };
  }
  throw new Error("no stream");
}

test("lines come in and go out in order, and a close delivers what was sent before", async () => {
  const { miner, connection, lines, stop } = await pair(65_536);
  const running = connection.run();
  await miner.write(new TextEncoder().encode("one\ntw"));
  await miner.write(new TextEncoder().encode("o\n"));
  await vi.waitFor(() => expect(lines).toEqual(["one", "two"]));
  for (let at = 0; at < 1000; at += 1) connection.send(`line ${at}`);
  const closing = connection.close();
  let text = "";
  for await (const chunk of miner.source) text += new TextDecoder().decode(chunk);
  expect(text).toBe(Array.from({ length: 1000 }, (_, at) => `line ${at}\n`).join(""));
  await miner[Symbol.asyncDispose]();
  await closing;
  expect(await running).toBeUndefined();
  stop();
});

test("a miner that does not read is broken off when too much waits for it", async () => {
  const { miner, connection, stop } = await pair(65_536);
  const running = connection.run();
  const line = "x".repeat(16_000);
  const pull = setInterval(() => connection.send(line), 0);
  await running;
  clearInterval(pull);
  await expect(miner.write(new Uint8Array(10)).then(() => drain(miner.source))).rejects.toThrow();
  miner.abort(new Error("done"));
  stop();
});

async function drain(source: AsyncIterable<Uint8Array>): Promise<void> {
  for await (const _ of source);
}
