import { testRelay } from "./relay.ts";

const [host = "127.0.0.1", port = "0"] = process.argv.slice(2);

/** `relay-server.ts HOST PORT`: the test relay as a process of its own. */
await testRelay({ host, port: Number(port) });
