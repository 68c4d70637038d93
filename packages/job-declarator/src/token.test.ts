import { fromHex, hex } from "@adit/bitcoin";
import { authorityPublicKey, pureCrypto } from "@adit/noise";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { AUTHORITY, AUTHORITY_SECRET } from "./testing/declaring.ts";
import { type JobCommitment, readToken, tokenDigest, userDigest, verifyToken } from "./token.ts";
import { TokenMinter } from "./token-minter.ts";

const NOW = 1_800_000_000_000;
const LIFETIME_SECS = 600;

/** Every byte of what was drawn is the same: 0x10 for the id, then 0x11 for the signature. */
function minter(): TokenMinter {
  let fill = 0x0f;
  const entropy = (length: number): Uint8Array => {
    fill += 1;
    return new Uint8Array(length).fill(fill);
  };
  return new TokenMinter({
    crypto: pureCrypto,
    entropy,
    authoritySecretKey: AUTHORITY_SECRET,
    lifetimeSecs: LIFETIME_SECS,
  });
}

const job: JobCommitment = {
  version: 0x20000004,
  coinbaseTxVersion: 2,
  coinbaseTxInputNSequence: 0xfffffffe,
  coinbaseTxLocktime: 101,
  nbits: 0x207fffff,
  minNtime: 1_799_999_999,
  prevHash: new Uint8Array(32).fill(0xb1),
  coinbasePrefix: new Uint8Array(20).fill(0xb2),
  coinbaseTxOutputs: new Uint8Array(20).fill(0xb3),
  merklePath: new Uint8Array(20).fill(0xb4),
  extranonceSize: 20,
};

const verification = { crypto: pureCrypto, authorities: [AUTHORITY], now: NOW };

/** sha256("farm"), its first 20 bytes: `printf farm | sha256sum`. */
const FARM = "c8cf701f30ad11d3ee877dced0d774ab2da91598";

describe("the bytes of a token", () => {
  // Written by hand from the layout: version, kind, id, not_after, user.
  const head = (kind: string): string => `01${kind}${"10".repeat(16)}58d4496b${hex(userDigest(pureCrypto, "farm"))}`;

  test("are version, kind, id, end and user of one that was allocated", () => {
    const { bytes } = minter().allocate("coinbase-only", "farm", NOW);
    expect(hex(bytes.subarray(0, 42))).toBe(head("01"));
    expect(bytes).toHaveLength(42 + 64);
    expect(hex(minter().allocate("full-template", "farm", NOW).bytes.subarray(0, 42))).toBe(head("02"));
  });

  test("go on with the job's fields in the order of SetCustomMiningJob of one that was declared", () => {
    const { bytes } = minter().declare(job, "farm", NOW);
    const fields = [
      "04000020",
      "02000000",
      "feffffff",
      "65000000",
      "ffff7f20",
      "ffd1496b",
      "b1".repeat(32),
      "b2".repeat(20),
      "b3".repeat(20),
      "b4".repeat(20),
      "14",
    ];
    expect(hex(bytes.subarray(0, 159))).toBe(head("03") + fields.join(""));
    expect(bytes).toHaveLength(223);
  });

  test("end with a BIP340 signature over the tagged hash of what is before it", () => {
    const { bytes } = minter().allocate("coinbase-only", "farm", NOW);
    // sha256("adit/jd-token"): `printf adit/jd-token | sha256sum`.
    const tag = fromHex("1286fddb2aad0e4d1871600da1ee8784e6bc7ea3e3aebfb97c081c2b92c8b5b8");
    const message = pureCrypto.sha256(Uint8Array.from([...tag, ...tag, ...bytes.subarray(0, 42)]));
    expect(pureCrypto.verify(bytes.subarray(42), message, AUTHORITY)).toBe(true);
  });

  test("keep the first 20 bytes of a SHA-256", () => {
    expect(hex(userDigest(pureCrypto, "farm"))).toBe(FARM);
    expect(hex(tokenDigest(pureCrypto, new TextEncoder().encode("farm")))).toBe(FARM);
  });
});

describe("a token is read", () => {
  test("as what it was made of", () => {
    const { bytes, id } = minter().declare(job, "farm", NOW);
    const notAfter = 1_800_000_600;
    expect(readToken(bytes)).toEqual({ kind: "declared", id, notAfter, user: userDigest(pureCrypto, "farm"), job });
  });

  test.each([
    ["no bytes", new Uint8Array()],
    ["another version", Uint8Array.of(2, 1, ...new Uint8Array(104))],
    ["kind 0", Uint8Array.of(1, 0, ...new Uint8Array(104))],
    ["kind 4", Uint8Array.of(1, 4, ...new Uint8Array(104))],
    ["a byte too few", Uint8Array.of(1, 1, ...new Uint8Array(103))],
    ["a byte too many", Uint8Array.of(1, 1, ...new Uint8Array(105))],
    ["the length of another kind", Uint8Array.of(1, 3, ...new Uint8Array(104))],
  ])("not from %s", (_, bytes) => {
    expect(readToken(bytes)).toBeUndefined();
  });

  test("or not from any other 0 to 255 bytes, and never with an error", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 255 }), (bytes) => {
        expect(verifyToken(bytes, verification)).toMatchObject({ fault: expect.any(String) });
      }),
    );
  });
});

describe("a token counts", () => {
  const { bytes, expiresAt } = minter().declare(job, "farm", NOW);

  test("when one of the authorities has signed it", () => {
    const other = authorityPublicKey(new Uint8Array(32).fill(4));
    expect(verifyToken(bytes, { ...verification, authorities: [other, AUTHORITY] })).toHaveProperty("token");
    expect(verifyToken(bytes, { ...verification, authorities: [other] })).toEqual({ fault: "unknown-signer" });
    expect(verifyToken(bytes, { ...verification, authorities: [] })).toEqual({ fault: "unknown-signer" });
  });

  test("to the end of its last second", () => {
    expect(expiresAt).toBe(NOW + LIFETIME_SECS * 1000 + 1000);
    expect(verifyToken(bytes, { ...verification, now: expiresAt - 1 })).toHaveProperty("token");
    expect(verifyToken(bytes, { ...verification, now: expiresAt })).toEqual({ fault: "expired" });
  });

  test("only with every bit as it was signed", () => {
    for (let bit = 0; bit < bytes.length * 8; bit += 7) {
      const changed = bytes.slice();
      changed[bit >> 3]! ^= 1 << (bit & 7);
      expect(verifyToken(changed, verification), `bit ${bit}`).toHaveProperty("fault");
    }
  });
});
