import { NetworkError } from "../../errors.ts";
import { tcp } from "../../tcp/index.ts";
import { rotateKey } from "../key-rotation.ts";
import { loopbackNode } from "./loopback.ts";
import { echoAll, ping } from "./streams.ts";

const never = new AbortController().signal;

/** What a test has its child process do; each writes what the test waits for on standard output. */
const tasks: Readonly<Record<string, () => Promise<void>>> = {
  /** Echoes until killed. */
  serve: async () => {
    const node = await loopbackNode();
    const listener = await node.transport("test").listen("", { signal: never });
    process.stdout.write(`${listener.address}\n`);
    await echoAll(listener.streams);
  },
  /** Uses both roles, disposes of everything and returns: the process must end by itself. */
  comeAndGo: async () => {
    await using server = await loopbackNode();
    await using client = await loopbackNode();
    const listener = await server.transport("test").listen("", { signal: never });
    const serving = echoAll(listener.streams);
    await ping(await client.transport("test").dial(listener.address, { signal: never }));
    await listener[Symbol.asyncDispose]();
    await serving;
    process.stdout.write("served\n");
  },
  /** Rotates the key in the file that ROTATED names again and again, and writes each new endpoint id. */
  rotate: async () => {
    const path = process.env["ROTATED"] ?? "";
    for (;;) {
      const { endpointId } = await rotateKey(path, { overlapMs: 0, now: 0 });
      process.stdout.write(`${endpointId}\n`);
    }
  },
  /** Run where the native part cannot load. */
  withoutIroh: async () => {
    const error = await loopbackNode().catch((error: unknown) => error);
    await using listener = await tcp().listen("127.0.0.1:0", { signal: never });
    const dialled = await tcp().dial(listener.address, { signal: never });
    dialled.abort(new Error("enough"));
    process.stdout.write(`${error instanceof NetworkError ? error.code : String(error)}, TCP works\n`);
  },
};

await tasks[process.argv[2] ?? ""]?.();
