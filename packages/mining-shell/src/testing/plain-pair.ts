import { acceptSv2, dialSv2, type Sv2Connection } from "@adit/network-helpers";
import { memory } from "@adit/network-helpers/memory";

/** Both ends of one connection. */
export interface PlainPair {
  readonly server: Sv2Connection<"mining">;
  readonly client: Sv2Connection<"mining">;
}

/** A miner's connection in memory, without Noise. `windowBytes`: what the transport takes before it waits. */
export async function plainPair(windowBytes = 64 * 1024): Promise<PlainPair> {
  const { signal } = new AbortController();
  const transport = memory({ windowBytes });
  await using listener = await transport.listen("server", { signal });
  const dialled = await transport.dial("server", { signal });
  const accepted = await listener.streams[Symbol.asyncIterator]().next();
  if (accepted.done === true) throw new Error("the listener ended");
  const options = { security: "plain", signal, deadlineMs: 5000 } as const;
  const texts = { endpointHost: "", vendor: "", hardwareVersion: "", firmware: "", deviceId: "" };
  const side = {
    protocol: "mining",
    supportedFlags: 0,
    successFlags: () => 0,
    supportedExtensions: [],
    requiredExtensions: [],
    maxPayload: () => 512,
  } as const;
  const hello = { protocol: "mining", flags: 0, endpointPort: 0, requestExtensions: [], ...texts } as const;
  const [server, client] = await Promise.all([
    acceptSv2(accepted.value, side, options),
    dialSv2(dialled, hello, options),
  ]);
  return { server, client };
}
