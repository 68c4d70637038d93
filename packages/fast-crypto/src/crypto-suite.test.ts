import { readFileSync } from "node:fs";
import { fromHex, hex, pureHashing, type ShareHashing } from "@adit/bitcoin";
import {
  authorityPublicKey,
  type Ciphers,
  type EllSwiftKeypair,
  type Entropy,
  initiator,
  type NoiseCrypto,
  pureCrypto,
  ResponderIdentity,
} from "@adit/noise";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { assembleCrypto, type Library, loadLibraries } from "./load.ts";

const libraries = await loadLibraries();
const without: Library<never> = { kind: "missing", reason: "left out by the test" };

const noises: NoiseCrypto[] = [
  pureCrypto,
  assembleCrypto(libraries).noise,
  assembleCrypto({ ...libraries, secp256k1: without }).noise,
  assembleCrypto({ ...libraries, sodium: without }).noise,
];
const hashings: ShareHashing[] = [pureHashing, assembleCrypto(libraries).hashing];

const rows = (path: string): string[][] =>
  readFileSync(new URL(path, import.meta.url), "utf8")
    .trim()
    .split(/\r?\n/)
    .slice(1)
    .map((line) => line.split(","));

/** The same bytes for the same seed. */
function entropyFrom(seed: Uint8Array): Entropy {
  let counter = 0;
  return (length) => {
    const block = (n: number) => pureCrypto.hmacSha256(seed, Uint8Array.of(counter & 0xff, counter >> 8, n));
    counter++;
    return Uint8Array.from([...block(0), ...block(1)]).slice(0, length);
  };
}

const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
const seeds = bytes(8);
const code = (code: string) => expect.objectContaining({ name: "NoiseError", code });
const keyOf = (publicKey: Uint8Array) => ({ publicKey, xOnly: pureCrypto.xOnlyOf(publicKey) });

describe.each(noises)("$name keeps the NoiseCrypto contract", (crypto) => {
  test("decodes the BIP324 vectors", () => {
    const vectors = rows("../../noise/src/vectors/bip324-ellswift_decode_test_vectors.csv");
    expect(vectors.length).toBe(76);
    for (const [ellswift = "", x] of vectors) expect(hex(crypto.xOnlyOf(fromHex(ellswift)))).toBe(x);
  });

  test("agrees on the BIP324 vectors' keys and shared secrets", () => {
    const vectors = rows("../../noise/src/vectors/bip324-packet_encoding_test_vectors.csv");
    expect(vectors.length).toBe(7);
    for (const vector of vectors) {
      const [, secret = "", ours = "", theirs = "", initiating] = vector;
      const [xOurs, xTheirs, , sharedSecret] = vector.slice(9);
      const keypair: EllSwiftKeypair = { secretKey: fromHex(secret), ...keyOf(fromHex(ours)) };
      expect(hex(keypair.xOnly)).toBe(xOurs);
      const peer = keyOf(fromHex(theirs));
      expect(hex(peer.xOnly)).toBe(xTheirs);
      expect(hex(crypto.ecdh(keypair, peer, initiating === "1"))).toBe(sharedSecret);
      const draws = [fromHex(secret)];
      const entropy = entropyFrom(Uint8Array.of(7));
      const made = crypto.generateKeypair((length) => draws.pop() ?? entropy(length));
      expect(hex(made.xOnly)).toBe(xOurs);
    }
  });

  test("signs and verifies as the BIP340 vectors do", () => {
    const vectors = rows("./vectors/bip340-test-vectors.csv").filter(([, , , , message]) => message?.length === 64);
    expect(vectors.length).toBe(15);
    for (const [, secret = "", publicKey = "", aux = "", message = "", signature = "", result] of vectors) {
      const verified = crypto.verify(fromHex(signature), fromHex(message), fromHex(publicKey));
      expect(verified).toBe(result === "TRUE");
      if (secret !== "") {
        expect(hex(crypto.sign(fromHex(message), fromHex(secret), fromHex(aux)))).toBe(signature.toLowerCase());
      }
    }
  });

  test("makes the pure key pair out of the same entropy", () => {
    fc.assert(
      fc.property(seeds, (seed) => {
        expect(crypto.generateKeypair(entropyFrom(seed))).toEqual(pureCrypto.generateKeypair(entropyFrom(seed)));
      }),
      { numRuns: 15 },
    );
  });

  test("computes the pure shared secret, on both sides, also with public keys that nobody made", () => {
    fc.assert(
      fc.property(seeds, bytes(64), (seed, random) => {
        const entropy = entropyFrom(seed);
        const [ours, theirs] = [pureCrypto.generateKeypair(entropy), pureCrypto.generateKeypair(entropy)];
        const secret = crypto.ecdh(ours, theirs, true);
        expect(secret).toEqual(pureCrypto.ecdh(theirs, ours, false));
        expect(secret).not.toEqual(crypto.ecdh(ours, theirs, false));
        expect(crypto.ecdh(ours, keyOf(random), true)).toEqual(pureCrypto.ecdh(ours, keyOf(random), true));
      }),
      { numRuns: 15 },
    );
  });

  test("signs as pure does, and accepts no signature with a bit flipped", () => {
    fc.assert(
      fc.property(seeds, fc.tuple(bytes(32), bytes(32)), fc.nat(511), (seed, [message, aux], bit) => {
        const { secretKey, xOnly } = pureCrypto.generateKeypair(entropyFrom(seed));
        const signature = crypto.sign(message, secretKey, aux);
        expect(signature).toEqual(pureCrypto.sign(message, secretKey, aux));
        expect(crypto.verify(signature, message, xOnly)).toBe(true);
        const flipped = signature.map((byte, i) => (i === bit >> 3 ? byte ^ (1 << (bit & 7)) : byte));
        expect(crypto.verify(flipped, message, xOnly)).toBe(false);
      }),
      { numRuns: 15 },
    );
  });

  test("hashes as pure does, keys of HMAC being of any length", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.uint8Array({ maxLength: 130 }), (data, key) => {
        expect(crypto.sha256(data)).toEqual(pureCrypto.sha256(data));
        expect(crypto.hmacSha256(key, data)).toEqual(pureCrypto.hmacSha256(key, data));
      }),
    );
    for (const length of [55, 56, 63, 64, 65, 119, 120, 70_000]) {
      const data = new Uint8Array(length).fill(length);
      expect(crypto.sha256(data)).toEqual(pureCrypto.sha256(data));
      expect(crypto.hmacSha256(data, data)).toEqual(pureCrypto.hmacSha256(data, data));
    }
  });

  test("seals as pure does, message by message, and opens only what was not touched", () => {
    const texts = fc.array(fc.tuple(fc.uint8Array({ maxLength: 200 }), fc.uint8Array({ maxLength: 40 })), {
      maxLength: 6,
    });
    fc.assert(
      fc.property(bytes(32), texts, fc.nat(), (key, messages, position) => {
        const [sealer, pure, opener] = [crypto.aead(key), pureCrypto.aead(key), crypto.aead(key)];
        for (const [plaintext, ad] of messages) {
          const sealed = sealer.seal(plaintext, ad);
          expect(sealed).toEqual(pure.seal(plaintext, ad));
          const bit = position % (sealed.length * 8);
          const flipped = sealed.map((byte, i) => (i === bit >> 3 ? byte ^ (1 << (bit & 7)) : byte));
          expect(() => opener.open(flipped, ad)).toThrow(code("decrypt-failed"));
          expect(() => opener.open(sealed, Uint8Array.of(...ad, 0))).toThrow(code("decrypt-failed"));
          expect(opener.open(sealed, ad)).toEqual(plaintext);
        }
      }),
      { numRuns: 40 },
    );
  });

  test("seals and opens frames as pure does, at every chunk edge", () => {
    const key = new Uint8Array(32).fill(5);
    const [sealer, pure, opener] = [crypto.frameSealer(key), pureCrypto.frameSealer(key), crypto.frameOpener(key)];
    for (const length of [0, 1, 65518, 65519, 65520, 131038, 131039]) {
      const frame = new Uint8Array(6 + length).fill(length & 0xff);
      frame.set([0, 0, 1, length & 0xff, (length >> 8) & 0xff, length >> 16]);
      const sealed = sealer.seal(frame);
      expect(Buffer.compare(sealed, pure.seal(frame))).toBe(0);
      expect(opener.openHeader(sealed.subarray(0, 22))).toEqual(frame.subarray(0, 6));
      expect(Buffer.compare(opener.openPayload(sealed.subarray(22), length), frame.subarray(6))).toBe(0);
    }
  });

  test("refuses keys that are none with the same error", () => {
    const zero = new Uint8Array(32);
    const peer = pureCrypto.generateKeypair(entropyFrom(Uint8Array.of(1)));
    for (const secretKey of [zero, zero.map(() => 255), zero.subarray(1)]) {
      expect(() => crypto.sign(zero, secretKey, zero)).toThrow(code("bad-key"));
      expect(() => crypto.ecdh({ ...peer, secretKey }, peer, true)).toThrow(code("bad-key"));
    }
    expect(() => crypto.ecdh(peer, { ...peer, xOnly: zero }, true)).toThrow(code("bad-key"));
    expect(() => crypto.ecdh(peer, { ...peer, xOnly: peer.xOnly.subarray(1) }, true)).toThrow(code("bad-key"));
    expect(() => crypto.ecdh(peer, { ...peer, xOnly: Uint8Array.of(...peer.xOnly, 0) }, true)).toThrow(code("bad-key"));
    expect(() => crypto.generateKeypair((length) => new Uint8Array(length))).toThrow(code("bad-key"));
    expect(() => crypto.aead(zero.subarray(1))).toThrow(code("bad-key"));
    expect(() => crypto.xOnlyOf(zero)).toThrow(code("bad-length"));
    expect(() => crypto.aead(zero).open(zero.subarray(17))).toThrow(code("bad-length"));
    expect(crypto.verify(new Uint8Array(63), zero, peer.xOnly)).toBe(false);
    expect(crypto.verify(new Uint8Array(64), zero, zero)).toBe(false);
  });
});

describe("handshakes between implementations", () => {
  const pairs = noises.flatMap((client) => noises.map((server) => ({ client, server })));
  const frame = Uint8Array.of(0, 0, 1, 3, 0, 0, 7, 8, 9);
  const deliver = (from: Ciphers, to: Ciphers) => {
    const sealed = from.sealer.seal(frame);
    return [...to.opener.openHeader(sealed.subarray(0, 22)), ...to.opener.openPayload(sealed.subarray(22), 3)];
  };

  test.each(pairs)("$client.name connects to $server.name", ({ client, server }) => {
    const now = 1_750_000_000_000;
    const authoritySecretKey = new Uint8Array(32).fill(3);
    const authority = authorityPublicKey(authoritySecretKey);
    const entropy = entropyFrom(Uint8Array.of(2));
    const identity = new ResponderIdentity({ crypto: server, entropy, authoritySecretKey, certValiditySec: 60 });
    const { bytes, next } = initiator({ crypto: client, entropy: entropyFrom(Uint8Array.of(3)), authority }).act1();
    const answer = identity.begin(now).act1(bytes);
    const { ciphers } = next.act2(answer.bytes, now);
    expect(deliver(ciphers, answer.ciphers)).toEqual([...frame]);
    expect(deliver(answer.ciphers, ciphers)).toEqual([...frame]);
  });
});

describe.each(hashings)("$name keeps the ShareHashing contract", (hashing) => {
  const path = fc.array(bytes(32), { maxLength: 14 });
  const header = fc.record({
    version: fc.nat(0x7fffffff),
    prevHash: bytes(32),
    ntime: fc.nat(0xffffffff),
    nbits: fc.nat(0xffffffff),
    nonce: fc.nat(0xffffffff),
  });

  test("hashes block 1 of Bitcoin's main chain", () => {
    const header = fromHex(
      "010000006fe28c0ab6f1b372c1a6a246ae63f74f931e8365e15a089c68d6190000000000982051fd1e4ba744bbbe680e1fee14677ba1a3c3540bf7b1cdb606e857233e0e61bc6649ffff001d01e36299",
    );
    const expected = "4860eb18bf1b1620e37e9490fc8a427514416fd75159ab86688e9a8300000000";
    expect(hex(hashing.headerHash(header))).toBe(expected);
    expect(hex(hashing.sha256d(header))).toBe(expected);
  });

  test("computes what pure does, share after share", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), path, header, (coinbase, merklePath, fields) => {
        const share = { coinbase, merklePath, header: fields };
        expect(hashing.shareHash(share)).toEqual(pureHashing.shareHash(share));
        expect(hashing.merkleRoot(coinbase, merklePath)).toEqual(pureHashing.merkleRoot(coinbase, merklePath));
        expect(hashing.sha256d(coinbase)).toEqual(pureHashing.sha256d(coinbase));
      }),
    );
  });

  test("hands out results that later calls leave alone, and does not change its input", () => {
    const [one, two] = [new Uint8Array(32).fill(1), new Uint8Array(32).fill(2)];
    const fields = { version: 1, prevHash: one, ntime: 1, nbits: 1, nonce: 1 };
    const root = hashing.merkleRoot(one, [two]);
    const share = hashing.shareHash({ coinbase: one, merklePath: [two], header: fields });
    const digest = hashing.sha256d(one);
    const before = [root.slice(), share.hash.slice(), share.header.slice(), digest.slice()];
    hashing.merkleRoot(two, [two]);
    hashing.shareHash({ coinbase: two, merklePath: [one, two], header: { ...fields, nonce: 2 } });
    hashing.sha256d(two);
    expect([root, share.hash, share.header, digest]).toEqual(before);
    expect(one).toEqual(new Uint8Array(32).fill(1));
  });

  test("refuses a path with an entry that is not 32 bytes, and computes rightly afterwards", () => {
    const coinbase = new Uint8Array(100);
    for (const length of [0, 31, 33]) {
      expect(() => hashing.merkleRoot(coinbase, [new Uint8Array(length)])).toThrow(RangeError);
    }
    expect(hashing.merkleRoot(coinbase, [])).toEqual(pureHashing.merkleRoot(coinbase, []));
  });
});
