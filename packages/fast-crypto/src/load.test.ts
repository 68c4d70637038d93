import { fromHex, hex, pureHashing } from "@adit/bitcoin";
import { pureCrypto } from "@adit/noise";
import * as secp from "tiny-secp256k1";
import { describe, expect, test } from "vitest";
import { FastCryptoError, loadCrypto } from "./index.ts";
import { assembleCrypto, expectBoth, type Library, loadLibraries, loadLibrary } from "./load.ts";
import { probeSecp256k1, probeSodium } from "./probe.ts";
import { type SodiumNative, sodiumAead } from "./sodium.ts";

const missing: Library<never> = { kind: "missing", reason: "it did not load: no such file" };

async function loadedSodium(): Promise<SodiumNative> {
  const { sodium } = await loadLibraries();
  if (sodium.kind === "missing") throw new Error(sodium.reason);
  return sodium.library;
}

describe("loading fast cryptography", () => {
  test("uses both libraries where they are installed, as they are here", async () => {
    const loaded = await loadCrypto();
    expect(loaded.report).toBe("sodium-native + tiny-secp256k1");
    expect(loaded.noise.name).toBe("sodium-native + tiny-secp256k1");
    expect(loaded.hashing.name).toBe("sodium-native");
    await expect(loadCrypto({ force: "fast" })).resolves.toMatchObject({ report: loaded.report });
  });

  test("stays pure when asked to", async () => {
    expect(await loadCrypto({ force: "pure" })).toEqual({
      noise: pureCrypto,
      hashing: pureHashing,
      report: "pure: as asked for",
    });
  });

  test("falls back piece by piece and says why", async () => {
    const libraries = await loadLibraries();
    const onlySodium = assembleCrypto({ ...libraries, secp256k1: missing });
    expect(onlySodium.report).toBe("sodium-native + pure: it did not load: no such file");
    expect(onlySodium.noise.sign).toBe(pureCrypto.sign);
    expect(onlySodium.noise.sha256).not.toBe(pureCrypto.sha256);
    const onlySecp256k1 = assembleCrypto({ ...libraries, sodium: missing });
    expect(onlySecp256k1.report).toBe("tiny-secp256k1 + pure: it did not load: no such file");
    expect(onlySecp256k1.noise.sha256).toBe(pureCrypto.sha256);
    expect(onlySecp256k1.hashing).toBe(pureHashing);
    const neither = assembleCrypto({ sodium: missing, secp256k1: missing });
    expect(neither.noise).toEqual(pureCrypto);
    expect(neither.hashing).toBe(pureHashing);
    expect(neither.report).toBe("pure: it did not load: no such file; it did not load: no such file");
  });

  test("keeps the first line of why a library does not load", async () => {
    const load = () => Promise.reject(new Error("cannot open shared object\nstack"));
    expect(await loadLibrary("some-library", load, () => undefined)).toEqual({
      kind: "missing",
      reason: "some-library did not load: cannot open shared object",
    });
  });

  test("does without a library that computes wrongly", async () => {
    const sodium = await loadedSodium();
    const wrongHash: SodiumNative = { ...sodium, crypto_hash_sha256: (output) => void output.fill(1) };
    const wrongSeal: SodiumNative = { ...sodium, crypto_aead_chacha20poly1305_ietf_encrypt: () => 0 };
    const trusting: SodiumNative = { ...sodium, crypto_aead_chacha20poly1305_ietf_decrypt: () => 0 };
    for (const wrong of [wrongHash, wrongSeal, trusting]) {
      expect(await loadLibrary("sodium-native", () => wrong, probeSodium)).toMatchObject({ kind: "missing" });
    }
    const wrongPoint = { ...secp, pointMultiply: (point: Uint8Array) => point };
    const wrongSignature = { ...secp, signSchnorr: () => new Uint8Array(64) };
    const credulous = { ...secp, verifySchnorr: () => true };
    for (const wrong of [wrongPoint, wrongSignature, credulous]) {
      expect(await loadLibrary("tiny-secp256k1", () => wrong, probeSecp256k1)).toMatchObject({ kind: "missing" });
    }
  });

  test("refuses to fall back when told not to, and says why", async () => {
    const libraries = await loadLibraries();
    expect(() => expectBoth(libraries)).not.toThrow();
    expect(() => expectBoth({ ...libraries, sodium: missing })).toThrow(FastCryptoError);
    expect(() => expectBoth({ ...libraries, secp256k1: missing })).toThrow(
      expect.objectContaining({
        code: "library-unavailable",
        message: expect.stringContaining("no such file") as string,
      }),
    );
  });
});

describe("sodium-native's ChaCha20-Poly1305", () => {
  test("is that of RFC 8439, section 2.8.2", async () => {
    const aead = sodiumAead(await loadedSodium());
    const plaintext = new TextEncoder().encode(
      "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it.",
    );
    const parameters = {
      key: fromHex("808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f"),
      nonce: fromHex("070000004041424344454647"),
      ad: fromHex("50515253c0c1c2c3c4c5c6c7"),
    };
    const sealed = new Uint8Array(plaintext.length + 16);
    aead.encrypt(sealed, plaintext, parameters);
    expect(hex(sealed)).toBe(
      "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d63dbea45e8ca9671282fafb69da92728b1a71de0a9e060b29" +
        "05d6a5b67ecd3b3692ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc3ff4def08e4b7a9de576d26586cec64b" +
        "61161ae10b594f09e26a7e902ecbd0600691",
    );
    const opened = new Uint8Array(plaintext.length);
    expect(aead.decrypt(opened, sealed, parameters)).toBe(true);
    expect(opened).toEqual(plaintext);
  });
});
