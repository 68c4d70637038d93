import { randomBytes } from "node:crypto";
import { transportSuite } from "../testing/index.ts";
import { endpointIdOf } from "./endpoint-id.ts";
import { loopbackNode } from "./testing/loopback.ts";

transportSuite(
  "iroh",
  async () => {
    const server = await loopbackNode();
    const client = await loopbackNode();
    const stranger = endpointIdOf(randomBytes(32));
    return {
      dialer: client.transport("test"),
      listener: server.transport("test"),
      address: "",
      nowhere: stranger,
      blackHole: `${stranger}?addr=127.0.0.1:1`,
      kind: "iroh",
      [Symbol.asyncDispose]: async () => {
        await Promise.all([server[Symbol.asyncDispose](), client[Symbol.asyncDispose]()]);
      },
    };
  },
  { bulkBytes: 1 << 20, streams: 1000, stallBytes: 16 << 20 },
);
