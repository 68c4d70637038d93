import { describe, expect, test } from "vitest";
import { NetworkError } from "../errors.ts";
import type { LivenessOptions } from "./liveness.ts";
import { loopbackNode } from "./testing/loopback.ts";
import { startChild } from "./testing/spawn.ts";
import { readExactly } from "./testing/streams.ts";

const never = new AbortController().signal;

/** The defaults at a tenth. */
const quick: LivenessOptions = {
  checkIntervalMs: 100,
  probeAfterMs: 300,
  deadAfterMs: 1_300,
  deadAfterWithRelayMs: 2_200,
};

describe("a peer in another process", () => {
  test("is found dead when it freezes and when it is killed, long before the 30 s QUIC takes", async () => {
    await using child = await startChild("serve");
    await using node = await loopbackNode({ liveness: quick });
    for (const signal of ["SIGSTOP", "SIGKILL"] as const) {
      const stream = await node.transport("test").dial(child.firstLine, { signal: never });
      const source = stream.source[Symbol.asyncIterator]();
      await stream.write(Uint8Array.of(1));
      await readExactly(source, 1);
      const reading = source.next();
      child.process.kill(signal);
      const silentSince = performance.now();
      await expect(reading).rejects.toMatchObject({ name: "NetworkError", code: "timed-out", peer: stream.peer });
      expect(performance.now() - silentSince).toBeGreaterThan(900);
      expect(performance.now() - silentSince).toBeLessThan(6_000);
      await expect(stream.write(Uint8Array.of(1))).rejects.toBeInstanceOf(NetworkError);
      child.process.kill("SIGCONT");
    }
    expect(node.stats().streams).toBe(0);
  });

  test("survives a freeze shorter than the limit, and idleness of any length", async () => {
    await using child = await startChild("serve");
    await using node = await loopbackNode({ liveness: quick });
    const stream = await node.transport("test").dial(child.firstLine, { signal: never });
    const source = stream.source[Symbol.asyncIterator]();
    const until = performance.now() + 3 * quick.deadAfterMs;
    child.process.kill("SIGSTOP");
    setTimeout(() => child.process.kill("SIGCONT"), quick.deadAfterMs / 2);
    await new Promise((resolve) => setTimeout(resolve, until - performance.now()));
    await stream.write(Uint8Array.of(7));
    expect(await readExactly(source, 1)).toEqual(Uint8Array.of(7));
  });
});

test("a process that disposed of its nodes ends by itself", async () => {
  await using child = await startChild("comeAndGo");
  expect(child.firstLine).toBe("served");
  expect(await child.exited).toBe(0);
});

test("a process whose native part cannot load says so, and its TCP works", async () => {
  await using child = await startChild("withoutIroh", { NAPI_RS_NATIVE_LIBRARY_PATH: "/nonexistent.node" });
  expect(child.firstLine).toBe("iroh-unavailable, TCP works");
  expect(await child.exited).toBe(0);
});
