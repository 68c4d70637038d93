import { describe, expect, test } from "vitest";
import { transportSuite } from "../testing/index.ts";
import { memory } from "./index.ts";

const never = new AbortController().signal;

transportSuite("memory", async () => {
  const transport = memory();
  return {
    kind: "memory",
    dialer: transport,
    listener: transport,
    address: "",
    nowhere: "nobody",
    [Symbol.asyncDispose]: async () => undefined,
  };
});

describe("the memory transport", () => {
  test("lets a writer run ahead of its reader by its window and no further", async () => {
    const transport = memory({ windowBytes: 1000 });
    await using listener = await transport.listen("here", { signal: never });
    const accepting = listener.streams[Symbol.asyncIterator]().next();
    const a = await transport.dial("here", { signal: never });
    const b = (await accepting).value;
    if (b === undefined) throw new Error("not accepted");
    let written = 0;
    const writing = (async () => {
      for (; written < 10_000; written += 100) await a.write(new Uint8Array(100));
    })();
    const source = b.source[Symbol.asyncIterator]();
    await source.next();
    expect(written).toBeLessThanOrEqual(1100);
    for (let read = 100; read < 10_000; read += 100) await source.next();
    await writing;
    await Promise.all([a[Symbol.asyncDispose](), b[Symbol.asyncDispose]()]);
  });

  test("refuses a second listener on one address", async () => {
    const transport = memory();
    await using listener = await transport.listen("here", { signal: never });
    await expect(transport.listen(listener.address, { signal: never })).rejects.toMatchObject({
      code: "node-initialisation",
    });
  });
});
