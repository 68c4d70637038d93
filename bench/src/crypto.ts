import { pureHashing, type ShareHashing } from "@adit/bitcoin";
import { encodeHeader, HEADER_SIZE } from "@adit/codec";
import { loadCrypto } from "@adit/fast-crypto";
import { systemEntropy } from "@adit/network-helpers";
import { initiator, type NoiseCrypto, pureCrypto, ResponderIdentity, SEALED_HEADER_SIZE } from "@adit/noise";
import { type Case, cost, measureRounds, timed } from "./measure.ts";
import { bytes, FULL_DEPTH, sampleJob } from "./samples.ts";
import type { BenchOptions, Suite, Table } from "./suite.ts";

const KEY = bytes(32, 1);
const AUTHORITY = bytes(32, 77);
const CERT_VALIDITY_SEC = 3600;
/** Sealed frames that one opener opens before a new one starts over. */
const FRAMES = 256;
const PURE = "pure";
const FAST = "fast";

/** What the cryptography of sessions, handshakes and shares costs, pure and fast. */
export const crypto: Suite = {
  async *run(options) {
    const { noise, hashing, report } = await loadCrypto();
    const sides: readonly Side[] = [
      { label: PURE, noise: pureCrypto, hashing: pureHashing },
      { label: FAST, noise, hashing },
    ];
    const note = `${FAST} is ${report}; ${PURE} is @noble and @scure`;
    const table = async (title: string, cases: readonly Case[]): Promise<Table> => {
      return { title, unit: "ns of work", rows: await measureRounds(cases, options), notes: [note] };
    };
    yield await table(
      "Frames of a session (a header and its payload: two AEAD operations)",
      frameCases(sides, options),
    );
    yield await table("Handshake, one side's work", handshakeCases(sides, options));
    yield await table("Hashing", hashingCases(sides, options));
  },
};

interface Side {
  readonly label: string;
  readonly noise: NoiseCrypto;
  readonly hashing: ShareHashing;
}

/** The same work once for each side; fast is compared with pure. */
function onBothSides(what: string, sides: readonly Side[], sample: (side: Side) => Case["sample"]): readonly Case[] {
  return sides.map((side) => ({
    label: `${what}: ${side.label}`,
    against: side.label === PURE ? [] : [`${what}: ${PURE}`],
    sample: sample(side),
  }));
}

function frameCases(sides: readonly Side[], options: BenchOptions): readonly Case[] {
  return [60, 300, 16_384].flatMap((size) => {
    const frame = frameOf(size);
    return [
      ...onBothSides(`seal ${size} B`, sides, ({ noise }) => {
        const sealer = noise.frameSealer(KEY);
        return cost(() => sealer.seal(frame), options);
      }),
      ...onBothSides(`open ${size} B`, sides, ({ noise }) => cost(opening(noise, frame), options)),
    ];
  });
}

/** Opens the frames of one session in order, again and again. */
function opening(noise: NoiseCrypto, frame: Uint8Array): () => Uint8Array {
  const sealer = noise.frameSealer(KEY);
  const sealed = Array.from({ length: FRAMES }, () => sealer.seal(frame));
  let opener = noise.frameOpener(KEY);
  let next = 0;
  return () => {
    if (next === FRAMES) {
      next = 0;
      opener = noise.frameOpener(KEY);
    }
    const ciphertext = sealed[next++] ?? KEY;
    opener.openHeader(ciphertext.subarray(0, SEALED_HEADER_SIZE));
    return opener.openPayload(ciphertext.subarray(SEALED_HEADER_SIZE), frame.length - HEADER_SIZE);
  };
}

function frameOf(payloadSize: number): Uint8Array {
  const header = encodeHeader({ extensionType: 0, channelMsg: true, messageType: 0x1b, length: payloadSize });
  return Uint8Array.of(...header, ...bytes(payloadSize, 3));
}

function handshakeCases(sides: readonly Side[], options: BenchOptions): readonly Case[] {
  const count = options.quick ? 2 : 16;
  return [
    ...onBothSides(
      "responder",
      sides,
      ({ noise }) =>
        () =>
          handshakes(noise, { count, pooled: false }).responder,
    ),
    ...onBothSides("responder, keys made ready", sides, ({ noise }) => {
      return () => handshakes(noise, { count, pooled: true }).responder;
    }),
    ...onBothSides(
      "initiator",
      sides,
      ({ noise }) =>
        () =>
          handshakes(noise, { count, pooled: true }).initiator,
    ),
    ...onBothSides("ElligatorSwift key pair", sides, ({ noise }) => {
      return cost(() => noise.generateKeypair(systemEntropy), options);
    }),
  ];
}

/** Nanoseconds that each side spends on one handshake. `pooled`: the responder's ephemeral keys were made in idle time. */
function handshakes(
  crypto: NoiseCrypto,
  { count, pooled }: { readonly count: number; readonly pooled: boolean },
): { readonly initiator: number; readonly responder: number } {
  const now = Date.now();
  const identity = new ResponderIdentity({
    crypto,
    entropy: systemEntropy,
    authoritySecretKey: AUTHORITY,
    certValiditySec: CERT_VALIDITY_SEC,
    ephemeralPool: pooled ? count : 0,
  });
  identity.certificate(now);
  identity.prepare(count);
  const options = { crypto, entropy: systemEntropy, authority: identity.authorityPublicKey };
  const spent = { initiator: 0, responder: 0 };
  for (let made = 0; made < count; made++) {
    let first = undefined as ReturnType<ReturnType<typeof initiator>["act1"]> | undefined;
    let act2: Uint8Array = KEY;
    spent.initiator += timed(() => {
      first = initiator(options).act1();
    });
    spent.responder += timed(() => {
      act2 = identity.begin(now).act1(first?.bytes ?? KEY).bytes;
    });
    spent.initiator += timed(() => {
      first?.next.act2(act2, now);
    });
  }
  return { initiator: spent.initiator / count, responder: spent.responder / count };
}

function hashingCases(sides: readonly Side[], options: BenchOptions): readonly Case[] {
  const header = bytes(80, 9);
  const coinbase = Uint8Array.of(...sampleJob.coinbaseTxPrefix, ...bytes(20, 2), ...sampleJob.coinbaseTxSuffix);
  const fields = { version: 0x20000000, prevHash: bytes(32, 4), ntime: 1_700_000_000, nbits: 0x1d00ffff, nonce: 7 };
  return [
    ...onBothSides("SHA-256d of 80 B", sides, ({ hashing }) => cost(() => hashing.sha256d(header), options)),
    ...[0, FULL_DEPTH].flatMap((depth) => {
      const share = { coinbase, merklePath: sampleJob.merklePath.slice(0, depth), header: fields };
      const what = `share, ${coinbase.length} B coinbase, merkle path of ${depth}`;
      return onBothSides(what, sides, ({ hashing }) => cost(() => hashing.shareHash(share), options));
    }),
  ];
}
