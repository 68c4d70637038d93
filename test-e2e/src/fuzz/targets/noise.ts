import { readFileSync } from "node:fs";
import {
  ACT1_SIZE,
  ACT2_SIZE,
  type AwaitingAct2,
  type Ciphers,
  decodeAuthorityPublicKey,
  decodeAuthoritySecretKey,
  encodeAuthorityPublicKey,
  encodeAuthoritySecretKey,
  initiator,
  NoiseError,
  pureCrypto,
  ResponderIdentity,
  SEALED_HEADER_SIZE,
} from "@adit/noise";
import fc from "fast-check";
import {
  anyBytes,
  type Damage,
  damage,
  damaged,
  damagedOneOf,
  entropyOf,
  sequence,
  textOf,
  utf8,
} from "../arbitraries.ts";
import { rule, step, type Target, unlessRefused } from "../target.ts";

const NOW = 1_700_000_000_000;

const identity = new ResponderIdentity({
  crypto: pureCrypto,
  entropy: entropyOf(7),
  authoritySecretKey: new Uint8Array(32).fill(7),
  certValiditySec: 3_600,
  ephemeralPool: 0,
});
identity.certificate(NOW);

function begin(seed: number, authority: Uint8Array | null): { readonly act1: Uint8Array; readonly next: AwaitingAct2 } {
  const { bytes: act1, next } = initiator({ crypto: pureCrypto, entropy: entropyOf(seed), authority }).act1();
  return { act1, next };
}

/** Public keys as encoded on the wire that lead to every case of decoding (BIP324's test vectors). */
const vectors = readFileSync(
  new URL("../../../../packages/noise/src/vectors/bip324-ellswift_decode_test_vectors.csv", import.meta.url),
  "utf8",
);
const oddKeys = [...vectors.matchAll(/^([0-9a-f]{128}),/gm)].map(([, hex = ""]) =>
  Uint8Array.from(Buffer.from(hex, "hex")),
);

type FrameFate = "whole" | "damaged" | "lost" | "repeated" | "swapped";

interface Session {
  readonly seed: number;
  /** The initiator checks the certificate against the responder's authority. */
  readonly checked: boolean;
  readonly act1: readonly Damage[];
  readonly act2: readonly Damage[];
  readonly frames: readonly { readonly size: number; readonly fate: FrameFate; readonly damage: Damage }[];
}

const few = fc.oneof(
  { weight: 3, arbitrary: fc.constant([]) },
  { weight: 1, arbitrary: fc.array(damage, { maxLength: 2 }) },
);
const size = fc.oneof(fc.nat(40), fc.constantFrom(65_519, 65_520), fc.nat(2_000));

/** A handshake whose acts may be altered, then frames that may be altered, lost, repeated or swapped. */
export const sessions: Target<Session> = {
  inputs: fc.record({
    seed: fc.nat(1_000),
    checked: fc.boolean(),
    act1: few,
    act2: few,
    frames: sequence(
      fc.record({
        size,
        fate: fc.oneof(
          { weight: 5, arbitrary: fc.constant<FrameFate>("whole") },
          { weight: 2, arbitrary: fc.constantFrom<FrameFate>("damaged", "lost", "repeated", "swapped") },
        ),
        damage,
      }),
      8,
    ),
  }),
  run(session) {
    const ends = shakeHands(session);
    if (ends !== undefined) passFrames(ends, session);
  },
};

interface Ends {
  readonly initiating: Ciphers;
  readonly responding: Ciphers;
}

function shakeHands({ seed, checked, act1: damage1, act2: damage2 }: Session): Ends | undefined {
  const start = step(() => begin(seed, checked ? identity.authorityPublicKey : null));
  const act1 = damaged(start.act1, damage1);
  const responder = step(() => unlessRefused([NoiseError], () => identity.begin(NOW).act1(act1)));
  if (act1.length !== ACT1_SIZE) rule(responder === undefined, "an act 1 of another length was taken");
  if (responder === undefined) {
    rule(act1.length !== ACT1_SIZE, "an act 1 of 64 bytes was refused");
    return undefined;
  }
  const act2 = damaged(responder.bytes, damage2);
  const done = step(() => unlessRefused([NoiseError], () => start.next.act2(act2, NOW)));
  const isIntact = Buffer.compare(act1, start.act1) === 0 && Buffer.compare(act2, responder.bytes) === 0;
  rule((done !== undefined) === isIntact, isIntact ? "a whole handshake failed" : "an altered handshake was taken");
  rule(unlessRefused([NoiseError], () => start.next.act2(act2, NOW)) === undefined, "a step could be taken twice");
  return done && { initiating: done.ciphers, responding: responder.ciphers };
}

function passFrames({ initiating, responding }: Ends, { frames }: Session): void {
  const sent = frames.map(({ size }, index) => frameOf(size, index));
  const sealed = sent.map((frame) => initiating.sealer.seal(frame));
  const wire = frames.flatMap(({ fate, damage: harm }, index): readonly Uint8Array[] => {
    const whole = sealed[index] ?? new Uint8Array(0);
    if (fate === "damaged") return [damaged(whole, [harm])];
    if (fate === "lost") return [];
    if (fate === "repeated") return [whole, whole];
    return fate === "swapped" ? [sealed[index + 1] ?? whole, whole] : [whole];
  });
  let isBroken = false;
  for (const [index, bytes] of wire.entries()) {
    const opened = step(() => unlessRefused([NoiseError], () => open(responding, bytes, sent[index])));
    const isNext = !isBroken && sealed[index] !== undefined && Buffer.compare(bytes, sealed[index]) === 0;
    rule(
      (opened !== undefined) === isNext,
      isNext ? "a whole frame was refused" : "a frame out of order or altered was opened",
    );
    if (opened !== undefined)
      rule(Buffer.compare(opened, sent[index] ?? new Uint8Array(0)) === 0, "a frame was opened to other bytes");
    isBroken ||= opened === undefined;
  }
}

/** As the frame reader does: the header, then as many bytes as it tells, which here have to be all there are. */
function open({ opener }: Ciphers, bytes: Uint8Array, expected: Uint8Array | undefined): Uint8Array {
  const header = opener.openHeader(bytes.subarray(0, SEALED_HEADER_SIZE));
  const length = (header[3] ?? 0) | ((header[4] ?? 0) << 8) | ((header[5] ?? 0) << 16);
  rule(expected === undefined || length === expected.length - 6, "a header was opened to another length");
  return Buffer.concat([header, opener.openPayload(bytes.subarray(SEALED_HEADER_SIZE), length)]);
}

function frameOf(length: number, fill: number): Uint8Array {
  const frame = new Uint8Array(6 + length).fill(fill, 6);
  frame.set([0, 0, fill, length & 0xff, (length >> 8) & 0xff, length >> 16]);
  return frame;
}

const act2 = identity.begin(NOW).act1(begin(1, null).act1).bytes;
const keys = [
  encodeAuthorityPublicKey(identity.authorityPublicKey),
  encodeAuthoritySecretKey(new Uint8Array(32).fill(7)),
];

/** Bytes as act 1, as act 2, as a sealed frame and as the text of a key. */
export const noiseBytes: Target<Uint8Array> = {
  inputs: fc.oneof(
    damagedOneOf(fc.constantFrom(act2, ...keys.map(utf8), ...oddKeys)),
    fc
      .tuple(fc.constantFrom(...oddKeys), fc.constantFrom(act2))
      .map(([key, act]) => Uint8Array.from([...key, ...act.subarray(64)])),
    anyBytes(ACT2_SIZE + 20),
  ),
  run(bytes) {
    const responder = unlessRefused([NoiseError], () => identity.begin(NOW).act1(bytes.subarray(0, ACT1_SIZE)));
    rule((responder !== undefined) === bytes.length >= ACT1_SIZE, "an act 1 is judged by more than its length");
    if (responder !== undefined) {
      const opened = unlessRefused([NoiseError], () => responder.ciphers.opener.openHeader(bytes.subarray(64, 86)));
      rule(opened === undefined, "a frame of strange bytes was opened");
    }
    const taken = unlessRefused([NoiseError], () => begin(1, identity.authorityPublicKey).next.act2(bytes, NOW));
    rule(taken === undefined || Buffer.compare(bytes, act2) === 0, "an act 2 of strange bytes was taken");
    const text = textOf(bytes);
    const publicKey = unlessRefused([NoiseError], () => decodeAuthorityPublicKey(text));
    if (publicKey !== undefined) rule(encodeAuthorityPublicKey(publicKey) === text, "a public key has two spellings");
    const secretKey = unlessRefused([NoiseError], () => decodeAuthoritySecretKey(text));
    if (secretKey !== undefined) rule(encodeAuthoritySecretKey(secretKey) === text, "a secret key has two spellings");
  },
  guided: { maxLength: ACT2_SIZE + 20, dictionary: oddKeys.map((key) => key.subarray(0, 32)) },
};
