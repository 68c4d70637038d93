import { authorityPublicKey, pureCrypto, ResponderIdentity } from "@adit/noise";
import type { Sv2Server } from "../accept-sv2.ts";
import type { ByteStream, Transport } from "../byte-stream.ts";
import type { Sv2Client } from "../dial-sv2.ts";
import { memory } from "../memory/index.ts";
import { iterateOnce } from "../once.ts";
import { type ClientSecurity, type ServerSecurity, systemEntropy } from "../secure.ts";
import { tcp } from "../tcp/index.ts";

/** Nobody's key: for tests. */
export const authoritySecretKey: Uint8Array = new Uint8Array(32).fill(7);

/** A server's identity signed by the test authority. */
export function testIdentity(): ResponderIdentity {
  return new ResponderIdentity({
    crypto: pureCrypto,
    entropy: systemEntropy,
    authoritySecretKey,
    certValiditySec: 3600,
  });
}

/** Noise as the test server has it. */
export function noiseServer(): Exclude<ServerSecurity, "plain"> {
  return { noise: { crypto: pureCrypto, identity: testIdentity() } };
}

/** Noise as a client of the test server has it. */
export function noiseClient(secretKey: Uint8Array = authoritySecretKey): ClientSecurity {
  return { noise: { crypto: pureCrypto, authority: authorityPublicKey(secretKey) } };
}

/** Transports a test runs over, with the address to listen on. */
export const transports: readonly {
  readonly name: string;
  readonly make: () => Transport;
  readonly address: string;
}[] = [
  { name: "memory", make: () => memory(), address: "" },
  { name: "tcp", make: () => tcp(), address: "127.0.0.1:0" },
];

/** A dialled and an accepted stream, connected. */
export async function streamPair(transport: Transport = memory(), address = ""): Promise<[ByteStream, ByteStream]> {
  const { signal } = new AbortController();
  await using listener = await transport.listen(address, { signal });
  const accepting = listener.streams[Symbol.asyncIterator]().next();
  const dialled = await transport.dial(listener.address, { signal });
  const accepted = await accepting;
  if (accepted.done === true) throw new Error("the listener ended");
  return [dialled, accepted.value];
}

/** A stream from which `chunks` come, and that remembers what it was told. */
export function recordedStream(chunks: Iterable<Uint8Array>): ByteStream & {
  readonly writes: Uint8Array[];
  readonly aborted: Error[];
} {
  const iterator = chunks[Symbol.iterator]();
  const writes: Uint8Array[] = [];
  const aborted: Error[] = [];
  return {
    peer: "a recording",
    writes,
    aborted,
    source: iterateOnce("the recording", {
      next: async () => {
        const next = iterator.next();
        return next.done === true ? { done: true, value: undefined } : { done: false, value: next.value };
      },
    }),
    write: async (bytes) => {
      writes.push(bytes);
    },
    abort: (reason) => aborted.push(reason),
    info: () => ({
      transport: "memory",
      peer: "a recording",
      endpointId: null,
      path: null,
      rttMs: null,
      since: 0,
      bytesIn: 0,
      bytesOut: 0,
    }),
    [Symbol.asyncDispose]: async () => undefined,
  };
}

/** A pool-like server. */
export const testServer: Sv2Server<"mining"> = {
  protocol: "mining",
  supportedFlags: 0b101,
  successFlags: () => 2,
  supportedExtensions: [2, 3],
  requiredExtensions: [],
  maxPayload: () => 512,
};

/** A client that server accepts. */
export const testClient: Sv2Client<"mining"> = {
  protocol: "mining",
  flags: 0b101,
  endpointHost: "pool.example",
  endpointPort: 3333,
  vendor: "adit test",
  hardwareVersion: "none",
  firmware: "1",
  deviceId: "",
  requestExtensions: [],
};
