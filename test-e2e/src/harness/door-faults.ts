import { randomBytes } from "node:crypto";
import { HEADER_SIZE, type SetupConnection } from "@adit/codec";
import { ACT1_SIZE } from "@adit/noise";
import type { RawPeer } from "./raw-peer.ts";

/** A Stratum V2 server as those see it who wish it ill. */
export interface Door {
  /** What an honest client begins with. */
  readonly setup: SetupConnection;
  /** That as a frame. */
  readonly hello: Uint8Array;
  /** A frame that an honest client may send after it, over and over. */
  readonly ordinary: Uint8Array;
  /** A frame that only the server may send, and what the log says of a client that does. */
  readonly serverOnly: { readonly frame: Uint8Array; readonly reason: RegExp };
  /** Message type that a client may send, and its longest payload in bytes. */
  readonly largest: { readonly type: number; readonly bytes: number };
}

/** What somebody does, and what the log says of it. */
export interface Fault {
  readonly talk: (peer: RawPeer, door: Door) => Promise<void>;
  readonly reason: RegExp;
}

const UNDECIPHERED = /could not be decrypted/;

/** Says what an honest client begins with, and hears the answer. */
export async function setUp(peer: RawPeer, door: Pick<Door, "hello">): Promise<void> {
  await peer.sendWhole(door.hello);
  await peer.receive();
}

const says = (bytes: () => Uint8Array, reason: RegExp): Fault => ({ talk: (peer) => peer.send(bytes()), reason });

/** What a stranger says on its own, before any handshake. */
export const strangers: Readonly<Record<string, Fault>> = {
  "random bytes": says(() => randomBytes(400), /could not be decrypted|seems to speak/),
  "as many zeros": says(() => new Uint8Array(400), UNDECIPHERED),
  "plain HTTP": says(
    () => Buffer.from(`GET /api/v1/status HTTP/1.1\r\nHost: ${"pool.example.".repeat(20)}\r\n\r\n`),
    /seems to speak HTTP/,
  ),
  "a TLS ClientHello": says(
    () => Buffer.concat([Buffer.from("160301020001", "hex"), randomBytes(400)]),
    /seems to speak TLS/,
  ),
  "Stratum V1": says(
    () => Buffer.from(`{"id":1,"method":"mining.subscribe","params":["${"x".repeat(300)}"]}\n`),
    /seems to speak Stratum V1/,
  ),
  "JSON nested a hundred thousand deep": says(
    () => Buffer.from(`{"id":1,"method":"mining.submit","params":${"[".repeat(100_000)}${"]".repeat(100_000)}}\n`),
    /seems to speak Stratum V1/,
  ),
};

/** Streams that end where they may not. */
export const cuts: Readonly<Record<string, Fault>> = {
  "a stream that ends in the middle of act 1": {
    talk: async (peer) => {
      await peer.send(randomBytes(ACT1_SIZE / 2));
      await peer.end();
    },
    reason: /the peer ended before the handshake was complete/,
  },
  "a stream that ends after act 1": {
    talk: async (peer) => {
      await peer.send(randomBytes(ACT1_SIZE));
      await peer.end();
    },
    reason: /the peer left before SetupConnection/,
  },
};

/** The same after an honest handshake. */
export const laterCuts: Readonly<Record<string, Fault>> = {
  "half a sealed header, and no more": {
    talk: async (peer, door) => {
      await peer.send(peer.seal(door.hello).subarray(0, 9));
      await peer.end();
    },
    reason: /the peer ended in the middle of a frame/,
  },
  "a sealed frame but for its end": {
    talk: async (peer, door) => {
      await setUp(peer, door);
      await peer.send(peer.seal(door.ordinary).slice(0, -3));
      await peer.end();
    },
    reason: /the peer ended in the middle of a frame/,
  },
};

/** What a peer does wrong after an honest handshake. */
export const faults: Readonly<Record<string, Fault>> = {
  "another message before SetupConnection": {
    talk: (peer, { ordinary }) => peer.sendWhole(ordinary),
    reason: /protocol-violation|not SetupConnection/,
  },
  "a SetupConnection cut short": {
    talk: (peer, { hello }) => peer.sendFrame(0x00, hello.subarray(HEADER_SIZE, HEADER_SIZE + 8)),
    reason: /protocol-violation/,
  },
  "the header of four megabytes before SetupConnection": {
    talk: (peer) => peer.announce(0x00, 4_000_000),
    reason: /a frame of 4000000 bytes, at most 1291 are allowed now/,
  },
  "the header of a byte too many before SetupConnection": {
    talk: (peer) => peer.announce(0x00, 1292),
    reason: /a frame of 1292 bytes, at most 1291 are allowed now/,
  },
  "the header of the largest frame there is after SetupConnection": {
    talk: async (peer, door) => {
      await setUp(peer, door);
      await peer.announce(door.largest.type, 0xffffff);
    },
    reason: /a frame of 16777215 bytes, at most \d+ are allowed now/,
  },
  "the header of a byte too many after SetupConnection": {
    talk: async (peer, door) => {
      await setUp(peer, door);
      await peer.announce(door.largest.type, door.largest.bytes + 1);
    },
    reason: /a frame of \d+ bytes, at most \d+ are allowed now/,
  },
  "a second SetupConnection": {
    talk: async (peer, { hello }) => {
      await peer.sendWhole(hello);
      await peer.sendWhole(hello);
    },
    reason: /a second SetupConnection/,
  },
  "a message cut short": {
    talk: async (peer, door) => {
      await setUp(peer, door);
      await peer.sendFrame(door.largest.type, new Uint8Array(7), true);
    },
    reason: /protocol-violation/,
  },
  "frames that nobody knows, without end": {
    talk: async (peer, { hello }) => {
      await peer.sendWhole(hello);
      for (let sent = 0; sent < 20; sent += 1) await peer.sendFrame(0xee, new Uint8Array(4));
    },
    reason: /too many frames that nobody knows/,
  },
};

/**
 * What somebody in the middle, or a peer with its own session's bytes, may do with ciphertext. Each is told after an
 * honest set-up, and sends `ordinary` frames as `honest` says before the server is to notice.
 */
export const tamperings: Readonly<Record<string, { readonly talk: Fault["talk"]; readonly honest: number }>> = {
  "a sealed frame again": {
    talk: async (peer, { ordinary }) => {
      const sealed = peer.seal(ordinary);
      await peer.send(sealed);
      await peer.send(sealed);
    },
    honest: 1,
  },
  "two sealed frames in the other order": {
    talk: async (peer, { ordinary }) => {
      const [first, second] = [peer.seal(ordinary), peer.seal(ordinary)];
      await peer.send(second);
      await peer.send(first);
    },
    honest: 0,
  },
  "a sealed frame after one was left out": {
    talk: async (peer, { ordinary }) => {
      peer.seal(ordinary);
      await peer.send(peer.seal(ordinary));
    },
    honest: 0,
  },
  "a frame with a bit of its sealed header turned over": {
    talk: (peer, { ordinary }) => peer.send(turnedOver(peer.seal(ordinary), 3)),
    honest: 0,
  },
  "a frame with a bit of its sealed payload turned over": {
    talk: (peer, { ordinary }) => peer.send(turnedOver(peer.seal(ordinary), -20)),
    honest: 0,
  },
  "a frame with a bit of its last tag turned over": {
    talk: (peer, { ordinary }) => peer.send(turnedOver(peer.seal(ordinary), -1)),
    honest: 0,
  },
  "a sealed header with the payload of another frame": {
    talk: async (peer, { ordinary }) => {
      const [first, second] = [peer.seal(ordinary), peer.seal(ordinary)];
      const payload = second.length - (ordinary.length - HEADER_SIZE + 16);
      await peer.send(Buffer.concat([first.subarray(0, payload), second.subarray(payload)]));
    },
    honest: 0,
  },
  "the sealed SetupConnection again": {
    talk: (peer) => peer.send(peer.sent.at(-1) ?? new Uint8Array(0)),
    honest: 0,
  },
};

/** What the log says of every one of {@link tamperings}. */
export const tampered: RegExp = UNDECIPHERED;

function turnedOver(bytes: Uint8Array, at: number): Uint8Array {
  return bytes.map((byte, index) => (index === (at < 0 ? bytes.length + at : at) ? byte ^ 1 : byte));
}
