import { tcp } from "../tcp/index.ts";

/** Sends back what comes in, on a port of its own that it prints, until standard input ends: for tests of a whole process. */
async function serve(): Promise<void> {
  const controller = new AbortController();
  process.stdin.on("end", () => controller.abort()).resume();
  await using listener = await tcp().listen("127.0.0.1:0", { signal: controller.signal });
  process.stdout.write(`${listener.address}\n`);
  for await (const stream of listener.streams) {
    const echo = async (): Promise<void> => {
      for await (const chunk of stream.source) await stream.write(chunk);
      await stream[Symbol.asyncDispose]();
    };
    echo().catch(() => undefined);
  }
}

await serve();
