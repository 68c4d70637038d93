import { readFileSync } from "node:fs";
import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex, hexToBytes } from "@noble/hashes/utils.js";
import { describe, expect, test } from "vitest";
import { type EllSwiftKeypair, initiator, type NoiseCrypto, pureCrypto, ResponderIdentity } from "./index.ts";

interface TranscriptKey {
  secretKey: string;
  publicKey: string;
  xOnly: string;
}
interface Transcript {
  now: number;
  certValiditySec: number;
  authoritySecretKey: string;
  authorityPublicKey: string;
  initiatorEphemeral: TranscriptKey;
  responderEphemeral: TranscriptKey;
  responderStatic: TranscriptKey;
  signatureAux: string;
  act1: string;
  act2: string;
  frames: {
    payloadLength: number;
    sealedLength: number;
    fromInitiator: { start: string; sha256: string };
    fromResponder: { start: string; sha256: string };
  }[];
}

const transcript = JSON.parse(
  readFileSync(new URL("./vectors/sri-noise-transcript.json", import.meta.url), "utf8"),
) as Transcript;

/** Hands out the recorded keys, encodings included, in place of new ones. */
function withKeys(...keys: TranscriptKey[]): NoiseCrypto {
  const queue = keys.map(
    (key): EllSwiftKeypair => ({
      secretKey: hexToBytes(key.secretKey),
      publicKey: hexToBytes(key.publicKey),
      xOnly: hexToBytes(key.xOnly),
    }),
  );
  return { ...pureCrypto, generateKeypair: () => queue.shift() ?? pureCrypto.generateKeypair(() => new Uint8Array(0)) };
}

function frame(payloadLength: number): Uint8Array {
  const bytes = new Uint8Array(6 + payloadLength);
  bytes.set([0x00, 0x80, 0x1b, payloadLength & 0xff, (payloadLength >> 8) & 0xff, payloadLength >> 16]);
  for (let i = 0; i < payloadLength; i++) bytes[6 + i] = (i * 7) % 251;
  return bytes;
}

const initiatorSide = () => {
  const { bytes, next } = initiator({
    crypto: withKeys(transcript.initiatorEphemeral),
    entropy: () => new Uint8Array(0),
    authority: hexToBytes(transcript.authorityPublicKey),
  }).act1();
  return { act1: bytes, ...next.act2(hexToBytes(transcript.act2), transcript.now * 1000) };
};

const responderSide = () => {
  const identity = new ResponderIdentity({
    crypto: withKeys(transcript.responderStatic, transcript.responderEphemeral),
    entropy: () => hexToBytes(transcript.signatureAux),
    authoritySecretKey: hexToBytes(transcript.authoritySecretKey),
    certValiditySec: transcript.certValiditySec,
  });
  return identity.begin(transcript.now * 1000).act1(hexToBytes(transcript.act1));
};

describe("the reference implementation's recorded session", () => {
  test("its act 2 is what our responder makes of its keys", () => {
    expect(bytesToHex(responderSide().bytes)).toBe(transcript.act2);
  });

  test("our initiator sends its act 1 and accepts its act 2", () => {
    const { act1, certificate } = initiatorSide();
    expect(bytesToHex(act1)).toBe(transcript.act1);
    expect(certificate).toMatchObject({ version: 0, validFrom: transcript.now, notValidAfter: transcript.now + 3600 });
    expect(bytesToHex(certificate.serverPublicKey)).toBe(transcript.responderStatic.xOnly);
  });

  test("both sides seal every frame to its bytes, and open them again", () => {
    const [ours, theirs] = [initiatorSide().ciphers, responderSide().ciphers];
    for (const recorded of transcript.frames) {
      const plaintext = frame(recorded.payloadLength);
      for (const [from, to, expected] of [
        [ours, theirs, recorded.fromInitiator],
        [theirs, ours, recorded.fromResponder],
      ] as const) {
        const sealed = from.sealer.seal(plaintext);
        expect(sealed.length).toBe(recorded.sealedLength);
        expect(bytesToHex(sealed.subarray(0, 128))).toBe(expected.start);
        expect(bytesToHex(sha256(sealed))).toBe(expected.sha256);
        expect(to.opener.openHeader(sealed.subarray(0, 22))).toEqual(plaintext.subarray(0, 6));
        expect(bytesToHex(sha256(to.opener.openPayload(sealed.subarray(22), recorded.payloadLength)))).toBe(
          bytesToHex(sha256(plaintext.subarray(6))),
        );
      }
    }
  });
});
