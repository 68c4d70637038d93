import { isDeepStrictEqual } from "node:util";
import { assembleCoinbase, decodeTransaction, encodeTransaction, parseBip34, stripWitness } from "@adit/bitcoin";
import { type SetCustomMiningJob, u256 } from "@adit/codec";
import { pureCrypto } from "@adit/noise";
import fc from "fast-check";
import { anyBytes, damagedOneOf } from "../arbitraries.ts";
import {
  AUTHORITY,
  AUTHORITY_SECRET,
  blockCoinbase,
  coinbaseParts,
  countingEntropy,
  encodeToken,
  judgeCustomJob,
  PAYOUT_SCRIPT,
  readDeclaredCoinbase,
  readToken,
  TokenMinter,
  tipBelow,
  tokenDigest,
  UsedTokens,
  verifyToken,
} from "../inside.ts";
import { rule, type Target } from "../target.ts";

const NOW = 1_800_000_100_000;
const SIGNATURE_SIZE = 64;
const USER = "farm";
const EXTRANONCE_SIZE = 20;
const tip = tipBelow(102);

/** A custom job, but for its token. */
const customJob: Omit<SetCustomMiningJob, "miningJobToken"> = {
  name: "SetCustomMiningJob",
  channelId: 1,
  requestId: 1,
  version: 0x20000000,
  prevHash: u256(tip.prevHash),
  minNtime: tip.minNtime,
  nbits: tip.nbits,
  coinbaseTxVersion: 2,
  coinbasePrefix: Uint8Array.of(1, 102),
  coinbaseTxInputNSequence: 0xfffffffe,
  coinbaseTxOutputs: Uint8Array.of(1, ...new Uint8Array(8), PAYOUT_SCRIPT.length, ...PAYOUT_SCRIPT),
  coinbaseTxLocktime: 101,
  merklePath: [],
};

const minter = new TokenMinter({
  crypto: pureCrypto,
  entropy: countingEntropy(),
  authoritySecretKey: AUTHORITY_SECRET,
  lifetimeSecs: 600,
});

function digest(bytes: Uint8Array): Uint8Array {
  return tokenDigest(pureCrypto, bytes);
}

/** Tokens of each kind as a server gives them; only the first and the last are good for {@link customJob}. */
const minted: readonly Uint8Array[] = [
  minter.allocate("coinbase-only", USER, NOW),
  minter.allocate("full-template", USER, NOW),
  minter.allocate("coinbase-only", "another", NOW),
  minter.allocate("coinbase-only", USER, NOW - 700_000),
  minter.declare(
    {
      version: customJob.version,
      coinbaseTxVersion: customJob.coinbaseTxVersion,
      coinbaseTxInputNSequence: customJob.coinbaseTxInputNSequence,
      coinbaseTxLocktime: customJob.coinbaseTxLocktime,
      nbits: customJob.nbits,
      minNtime: customJob.minNtime,
      prevHash: customJob.prevHash,
      coinbasePrefix: digest(customJob.coinbasePrefix),
      coinbaseTxOutputs: digest(customJob.coinbaseTxOutputs),
      merklePath: digest(new Uint8Array(0)),
      extranonceSize: EXTRANONCE_SIZE,
    },
    USER,
    NOW,
  ),
].map(({ bytes }) => bytes);
const good = [minted[0], minted.at(-1)].map(hexOf);
const expired = hexOf(minted[3]);
const known = new Set(minted.map(hexOf));

/** Bytes as a token: there is one way to write each, and none counts that was not signed. */
export const tokens: Target<Uint8Array> = {
  inputs: fc.oneof(
    { weight: 5, arbitrary: damagedOneOf(fc.constantFrom(...minted)) },
    { weight: 1, arbitrary: anyBytes(255) },
  ),
  run(bytes) {
    const token = readToken(bytes);
    if (token !== undefined) {
      const again = encodeToken(token);
      rule(Buffer.compare(again, bytes.subarray(0, -SIGNATURE_SIZE)) === 0, "a token has two spellings");
    }
    const verified = verifyToken(bytes, { crypto: pureCrypto, authorities: [AUTHORITY], now: NOW });
    const name = hexOf(bytes);
    rule(
      "token" in verified === (known.has(name) && name !== expired),
      "a token counts that nobody signed, or one does not",
    );
    const verdict = judgeCustomJob(
      { ...customJob, miningJobToken: bytes },
      {
        userIdentity: USER,
        extranonceSize: EXTRANONCE_SIZE,
        now: NOW,
        authorities: [AUTHORITY],
        used: new UsedTokens(),
        crypto: pureCrypto,
      },
    );
    rule(
      (verdict.kind === "accepted") === good.includes(name),
      "a custom job is taken under a token that is not its own",
    );
  },
  guided: { maxLength: 260, dictionary: minted },
};

/** Two parts of a coinbase. */
interface Halves {
  readonly prefix: Uint8Array;
  readonly suffix: Uint8Array;
}

const sampleHalves: fc.Arbitrary<Halves> = fc
  .record({
    height: fc.integer({ min: 1, max: 2_000_000 }),
    tag: fc.uint8Array({ maxLength: 60 }),
    extranonceSize: fc.integer({ min: 1, max: 33 }),
    isSegwit: fc.boolean(),
    outputs: fc.array(fc.record({ value: fc.bigInt(0n, 2n ** 64n - 1n), script: fc.uint8Array({ maxLength: 40 }) }), {
      maxLength: 4,
    }),
  })
  .filter(({ tag, extranonceSize }) => tag.length + extranonceSize < 94)
  .map(({ isSegwit, ...fields }) => coinbaseParts(isSegwit ? fields : { ...fields, reservedValue: undefined }));

/** Where a whole coinbase is cut in two is in its first byte, as far as bytes go. */
function halvesOf(bytes: Uint8Array): Halves {
  const [at = 0] = bytes;
  return { prefix: bytes.slice(1, 1 + at), suffix: bytes.slice(1 + at) };
}

const asBytes = sampleHalves.map(({ prefix, suffix }) => Uint8Array.of(prefix.length & 0xff, ...prefix, ...suffix));

/** Bytes as the two parts of a declared coinbase: what is read is what a block will have, byte for byte. */
export const coinbases: Target<Uint8Array> = {
  inputs: fc.oneof({ weight: 8, arbitrary: damagedOneOf(asBytes) }, { weight: 1, arbitrary: anyBytes(300) }),
  run(bytes) {
    const { prefix, suffix } = halvesOf(bytes);
    const read = readDeclaredCoinbase(prefix, suffix);
    if ("errorCode" in read) return rule(read.detail.length > 0, "a fault without a word about it");
    const { extranonceSize } = read.parts;
    rule(extranonceSize >= 1 && extranonceSize <= 32, "an extranonce of no size, or one that no channel has");
    const extranonce = new Uint8Array(extranonceSize).fill(0xab);
    const whole = blockCoinbase(read, extranonce);
    rule(Buffer.compare(whole, Buffer.concat([prefix, extranonce, suffix])) === 0, "a block gets another coinbase");
    const stripped = assembleCoinbase(read.parts, extranonce);
    rule(Buffer.compare(stripped, stripWitness(whole)) === 0, "a coinbase's id is that of something else");
    const tx = decodeTransaction(whole);
    rule(Buffer.compare(encodeTransaction(tx), whole) === 0, "a coinbase has two encodings");
    rule(isDeepStrictEqual(tx.outputs, read.outputs), "outputs are checked that are not the coinbase's");
    const script = tx.inputs[0]?.script ?? new Uint8Array(0);
    rule(parseBip34(script) === read.height, "the height that is checked is not the coinbase's");
    rule(script.length >= 2 && script.length <= 100, "a scriptSig that no block may have");
  },
  guided: {
    maxLength: 400,
    dictionary: [Uint8Array.of(0, 1), Uint8Array.of(0xff, 0xff, 0xff, 0xff), Uint8Array.of(1, 32)],
  },
};

function hexOf(bytes: Uint8Array | undefined): string {
  return Buffer.from(bytes ?? []).toString("hex");
}
