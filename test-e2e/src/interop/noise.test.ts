import { randomBytes } from "node:crypto";
import { encodeHeader, type Frame, HEADER_SIZE } from "@adit/codec";
import { loadCrypto } from "@adit/fast-crypto";
import {
  type ByteStream,
  type FrameConnection,
  type Listener,
  secureInitiator,
  secureResponder,
  systemEntropy,
  type Transport,
} from "@adit/network-helpers";
import { alpns, type IrohNodeManager } from "@adit/network-helpers/iroh";
import { tcp } from "@adit/network-helpers/tcp";
import { authorityPublicKey, type NoiseCrypto, pureCrypto, ResponderIdentity, type ResponderStart } from "@adit/noise";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { loopbackNode } from "../harness/dial.ts";
import { NoisePeer, type NoisePeerLine } from "./noise-peer.ts";

const ALPN = alpns.mining.noise;
const MEBIBYTE = 1 << 20;
/** Payloads around the most that one ciphertext of the transport holds: 65,535 bytes with the tag (spec 4.6.2). */
const sizes = [0, 1, 65_518, 65_519, 65_520, MEBIBYTE] as const;
/** An ElligatorSwift encoding is drawn anew for every handshake: one is no proof. */
const HANDSHAKES = 25;
const CERT_VALIDITY_SEC = 3_600;

const authoritySecretKey = new Uint8Array(32).fill(7);
const publicKey = authorityPublicKey(authoritySecretKey);
const otherKey = authorityPublicKey(new Uint8Array(32).fill(9));
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
const keys = [hex(publicKey), hex(authoritySecretKey)] as const;
const never = { signal: new AbortController().signal };

const suites: readonly (readonly [name: string, load: () => Promise<NoiseCrypto>])[] = [
  ["pure", async () => pureCrypto],
  ["fast", async () => (await loadCrypto({ force: "fast" })).noise],
];

/** How the two sides find each other over one transport. */
interface Ground {
  readonly transport: () => Transport;
  readonly listenAddress: string;
  /** Arguments of noise-peer in front of its keys. */
  readonly dial: (listener: Listener) => readonly string[];
  readonly listen: readonly string[];
}

let node: IrohNodeManager;
const grounds: Readonly<Record<"tcp" | "iroh", Ground>> = {
  tcp: {
    transport: () => tcp(),
    listenAddress: "127.0.0.1:0",
    dial: ({ address }) => ["dial", "tcp", address],
    listen: ["listen", "tcp"],
  },
  iroh: {
    transport: () => node.transport(ALPN),
    listenAddress: "",
    dial: ({ endpointId }) => {
      const addresses = node.boundAddresses().filter((address) => address.startsWith("127."));
      return ["dial", "iroh", ALPN, [endpointId, ...addresses].join(",")];
    },
    listen: ["listen", "iroh", ALPN],
  },
};

beforeAll(async () => {
  node = await loopbackNode();
});

afterAll(async () => {
  await node[Symbol.asyncDispose]();
});

describe.each(Object.entries(grounds))("noise_sv2 over %s", (_transport, ground) => {
  describe.each(suites)("and our %s cryptography", (_suite, load) => {
    test("answers our handshake and sends back frames of every size", async () => {
      await using peer = NoisePeer.start(...ground.listen, ...keys, String(CERT_VALIDITY_SEC), "0");
      const client = await dialled(ground, peer, { crypto: await load(), authority: publicKey });
      expect(await peer.line()).toEqual({ handshake: "done" });
      await expectEchoes(client, sizes);
      await client[Symbol.asyncDispose]();
      expect(await peer.line()).toEqual({ ended: sizes.length });
    });

    test("shakes hands with our listener and sends back frames of every size", async () => {
      const crypto = await load();
      await using met = await peerAtOurDoor(ground, hex(publicKey));
      const server = await responded(met.stream, crypto);
      server.reader.setMaxPayload(MEBIBYTE);
      expect(await met.peer.line()).toEqual({ handshake: "done" });
      await expectEchoes(server, sizes);
      await server[Symbol.asyncDispose]();
      expect(await met.peer.line()).toEqual({ ended: sizes.length });
    });
  });

  test("certificates of another authority, expired ones and those of the future are refused by us", async () => {
    const refusals = [
      [otherKey, CERT_VALIDITY_SEC, 0, "authority-mismatch"],
      [publicKey, 60, -3_600, "certificate-expired"],
      [publicKey, 60, 3_600, "certificate-expired"],
    ] as const;
    for (const [authority, validity, clock, code] of refusals) {
      await using peer = NoisePeer.start(...ground.listen, ...keys, String(validity), String(clock));
      const refusal = dialled(ground, peer, { crypto: pureCrypto, authority });
      await expect(refusal).rejects.toMatchObject({ name: "NetworkError", code });
    }
  });

  test("refuses our certificate when it is of another authority, expired or of the future", async () => {
    const refusals = [
      [hex(otherKey), 0],
      [hex(publicKey), -2 * CERT_VALIDITY_SEC * 1000],
      [hex(publicKey), 2 * CERT_VALIDITY_SEC * 1000],
    ] as const;
    for (const [authority, clockMs] of refusals) {
      await using met = await peerAtOurDoor(ground, authority);
      await responded(met.stream, pureCrypto, clockMs);
      expect(await met.peer.line()).toEqual({ error: expect.stringMatching(/Certificate/i) });
    }
  });

  test.each(["header", "payload"] as const)(
    "a flipped bit in a sealed %s ends the session at their end",
    async (part) => {
      await using peer = NoisePeer.start(...ground.listen, ...keys, String(CERT_VALIDITY_SEC), "0");
      const stream = await ground.transport().dial(await peer.address(), never);
      const flipped = flipping(stream, part === "header" ? 3 : 40);
      const client = await secureInitiator(flipped, { noise: { crypto: pureCrypto, authority: publicKey } }, never);
      expect(await peer.line()).toEqual({ handshake: "done" });
      await client.writer.write(frameOf(randomBytes(64)));
      expect(await peer.line()).toEqual({ error: expect.stringMatching(/Aead/i) });
      client.abort(new Error("test over"));
    },
  );
});

describe("noise_sv2 and ours agree on every session key", () => {
  test.each(suites)("with our %s cryptography", async (_suite, load) => {
    const crypto = await load();
    for (let round = 0; round < HANDSHAKES; round++) {
      await using peer = NoisePeer.start(...grounds.tcp.listen, ...keys, String(CERT_VALIDITY_SEC), "0");
      const client = await dialled(grounds.tcp, peer, { crypto, authority: round % 2 === 0 ? publicKey : null });
      await expectEchoes(client, [round]);
      await client[Symbol.asyncDispose]();

      await using met = await peerAtOurDoor(grounds.tcp, round % 2 === 0 ? hex(publicKey) : "any");
      const server = await responded(met.stream, crypto);
      await expectEchoes(server, [round]);
      await server[Symbol.asyncDispose]();
    }
  });
});

async function dialled(
  ground: Ground,
  peer: NoisePeer,
  noise: { readonly crypto: NoiseCrypto; readonly authority: Uint8Array | null },
): Promise<FrameConnection> {
  const stream = await ground.transport().dial(await peer.address(), never);
  return await secureInitiator(stream, { noise }, never);
}

/** noise-peer, come to a listener of ours, expecting `authority`. */
async function peerAtOurDoor(
  ground: Ground,
  authority: string,
): Promise<{ readonly stream: ByteStream; readonly peer: { line: () => Promise<NoisePeerLine> } } & AsyncDisposable> {
  const listener = await ground.transport().listen(ground.listenAddress, never);
  const peer = NoisePeer.start(...ground.dial(listener), authority);
  const accepted = await listener.streams[Symbol.asyncIterator]().next();
  if (accepted.done === true) throw new Error("the listener ended");
  return {
    stream: accepted.value,
    peer,
    [Symbol.asyncDispose]: async () => {
      await peer[Symbol.asyncDispose]();
      await listener[Symbol.asyncDispose]();
    },
  };
}

/** Our side of a handshake, with a certificate that was signed `clockMs` from now. */
async function responded(stream: ByteStream, crypto: NoiseCrypto, clockMs = 0): Promise<FrameConnection> {
  const identity = new IdentityAtAnotherTime(crypto, clockMs);
  return await secureResponder(stream, { noise: { crypto, identity } }, never);
}

class IdentityAtAnotherTime extends ResponderIdentity {
  readonly #clockMs: number;

  constructor(crypto: NoiseCrypto, clockMs: number) {
    super({ crypto, entropy: systemEntropy, authoritySecretKey, certValiditySec: CERT_VALIDITY_SEC });
    this.#clockMs = clockMs;
  }

  override begin(now: number): ResponderStart {
    return super.begin(now + this.#clockMs);
  }
}

/** Sends frames of these payload sizes, each as the answer to the last is there, and expects each back as it went. */
async function expectEchoes(connection: FrameConnection, payloadSizes: readonly number[]): Promise<void> {
  const frames = connection.reader.frames[Symbol.asyncIterator]();
  for (const size of payloadSizes) {
    const payload = randomBytes(size);
    await connection.writer.write(frameOf(payload));
    const { value } = await frames.next();
    const { payload: echoed, ...header } = value as Frame;
    expect(header).toEqual({ extensionType: 0, channelMsg: true, messageType: 0x1a });
    expect(payload.equals(echoed), `${size} bytes`).toBe(true);
  }
}

function frameOf(payload: Uint8Array): Uint8Array {
  const header = encodeHeader({ extensionType: 0, channelMsg: true, messageType: 0x1a, length: payload.length });
  const frame = new Uint8Array(HEADER_SIZE + payload.length);
  frame.set(header);
  frame.set(payload, HEADER_SIZE);
  return frame;
}

/** A stream that flips the lowest bit of one byte of what is written behind the handshake's first message. */
function flipping(stream: ByteStream, at: number): ByteStream {
  let written = -1;
  return {
    peer: stream.peer,
    source: stream.source,
    abort: (reason) => stream.abort(reason),
    info: () => stream.info(),
    [Symbol.asyncDispose]: () => stream[Symbol.asyncDispose](),
    write: async (bytes) => {
      written++;
      if (written === 0) return await stream.write(bytes);
      const copy = bytes.slice();
      if (at < copy.length) copy[at] = (copy[at] ?? 0) ^ 1;
      return await stream.write(copy);
    },
  };
}
