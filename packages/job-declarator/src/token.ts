import { concatBytes } from "@adit/bitcoin";
import type { NoiseCrypto } from "@adit/noise";

/** What a token stands for. */
export type TokenKind =
  /** Allocated to a client that keeps its transactions to itself: goes straight into SetCustomMiningJob. */
  | "coinbase-only"
  /** Allocated to a client that will declare the whole template with it. */
  | "full-template"
  /** Names a declared job. */
  | "declared";

/** What every token says. */
interface TokenHead {
  /** 16 random bytes: no two tokens share them. */
  readonly id: Uint8Array;
  /** Last second of its life, Unix time. */
  readonly notAfter: number;
  /** {@link tokenDigest} of the `user_identifier` it was allocated to, 20 bytes. */
  readonly user: Uint8Array;
}

/** The job that a declared token commits to, in the words of `SetCustomMiningJob` (spec 5.3.18). */
export interface JobCommitment {
  /** Header version; its general purpose bits are the miner's. */
  readonly version: number;
  /** Version of the coinbase transaction. */
  readonly coinbaseTxVersion: number;
  /** nSequence of the coinbase's input. */
  readonly coinbaseTxInputNSequence: number;
  /** Lock time of the coinbase. */
  readonly coinbaseTxLocktime: number;
  /** Compact target of the block. */
  readonly nbits: number;
  /** Earliest time the block may have, Unix seconds. */
  readonly minNtime: number;
  /** Hash of the block it builds on, 32 bytes, internal order. */
  readonly prevHash: Uint8Array;
  /** {@link tokenDigest} of every scriptSig byte before the extranonce. */
  readonly coinbasePrefix: Uint8Array;
  /** {@link tokenDigest} of the serialized outputs behind their CompactSize count. */
  readonly coinbaseTxOutputs: Uint8Array;
  /** {@link merklePathDigest}. */
  readonly merklePath: Uint8Array;
  /** Size of the whole extranonce, prefixes included, in bytes. */
  readonly extranonceSize: number;
}

/** A token as its bytes say it, whoever signed it. */
export type Token = TokenHead &
  ({ readonly kind: "coinbase-only" | "full-template" } | { readonly kind: "declared"; readonly job: JobCommitment });

/** Size of the id, in bytes. */
export const TOKEN_ID_SIZE = 16;

/** Size of a digest in a token, in bytes: as strong as the addresses that are paid to. */
const DIGEST_SIZE = 20;
const SIGNATURE_SIZE = 64;
const VERSION = 1;
/** Version, kind, id, end and user. */
const HEAD_SIZE = 2 + TOKEN_ID_SIZE + 4 + DIGEST_SIZE;
/** Six integers, the hash, three digests and the extranonce's size. */
const JOB_SIZE = 6 * 4 + 32 + 3 * DIGEST_SIZE + 1;
/** In the order of their numbers, from 1. */
const kinds: readonly TokenKind[] = ["coinbase-only", "full-template", "declared"];
const TAG = new TextEncoder().encode("adit/jd-token");

/**
 * What a token keeps of some bytes: the first 20 bytes of their SHA-256.
 *
 * @param crypto any implementation; all agree
 */
export function tokenDigest(crypto: Pick<NoiseCrypto, "sha256">, bytes: Uint8Array): Uint8Array {
  return crypto.sha256(bytes).slice(0, DIGEST_SIZE);
}

/** {@link tokenDigest} of a merkle path, its hashes one after the other. */
export function merklePathDigest(crypto: Pick<NoiseCrypto, "sha256">, path: readonly Uint8Array[]): Uint8Array {
  return tokenDigest(crypto, concatBytes(...path));
}

/** {@link tokenDigest} of a user's name, as both protocols spell it. */
export function userDigest(crypto: Pick<NoiseCrypto, "sha256">, userIdentifier: string): Uint8Array {
  return tokenDigest(crypto, new TextEncoder().encode(userIdentifier));
}

/** The signed part of a token: 42 bytes, or 159 when it names a declared job. */
export function encodeToken(token: Token): Uint8Array {
  const bytes = new Uint8Array(HEAD_SIZE + (token.kind === "declared" ? JOB_SIZE : 0));
  const view = new DataView(bytes.buffer);
  bytes.set([VERSION, kinds.indexOf(token.kind) + 1]);
  bytes.set(token.id, 2);
  view.setUint32(2 + TOKEN_ID_SIZE, token.notAfter, true);
  bytes.set(token.user, 2 + TOKEN_ID_SIZE + 4);
  if (token.kind === "declared") writeJob(bytes, view, token.job);
  return bytes;
}

/** A token's bytes taken apart; undefined when they are of no form that {@link encodeToken} and a signature make. Byte fields are views. */
export function readToken(bytes: Uint8Array): Token | undefined {
  const kind = kinds[(bytes[1] ?? 0) - 1];
  if (bytes[0] !== VERSION || kind === undefined) return undefined;
  const signedSize = HEAD_SIZE + (kind === "declared" ? JOB_SIZE : 0);
  if (bytes.length !== signedSize + SIGNATURE_SIZE) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const head = {
    id: bytes.subarray(2, 2 + TOKEN_ID_SIZE),
    notAfter: view.getUint32(2 + TOKEN_ID_SIZE, true),
    user: bytes.subarray(HEAD_SIZE - DIGEST_SIZE, HEAD_SIZE),
  };
  return kind === "declared" ? { ...head, kind, job: readJob(bytes, view) } : { ...head, kind };
}

/** Why a token does not count. */
export type TokenFault = "unreadable" | "expired" | "unknown-signer";

/** What {@link verifyToken} goes by. */
export interface TokenVerification {
  readonly crypto: Pick<NoiseCrypto, "sha256" | "verify">;
  /** X coordinates, 32 bytes each, of the authorities whose tokens count. */
  readonly authorities: readonly Uint8Array[];
  /** Unix milliseconds. */
  readonly now: number;
}

/** The token, when one of the authorities has signed it and its time is not over; else why not. */
export function verifyToken(
  bytes: Uint8Array,
  { crypto, authorities, now }: TokenVerification,
): { readonly token: Token } | { readonly fault: TokenFault } {
  const token = readToken(bytes);
  if (token === undefined) return { fault: "unreadable" };
  if (Math.floor(now / 1000) > token.notAfter) return { fault: "expired" };
  const message = tokenMessage(crypto, bytes.subarray(0, -SIGNATURE_SIZE));
  const signature = bytes.subarray(-SIGNATURE_SIZE);
  const isSigned = authorities.some((authority) => crypto.verify(signature, message, authority));
  return isSigned ? { token } : { fault: "unknown-signer" };
}

/** What is signed: the tagged hash (BIP340) of a token's bytes, so that no signature of another kind can pass for it. */
export function tokenMessage(crypto: Pick<NoiseCrypto, "sha256">, signed: Uint8Array): Uint8Array {
  const tag = crypto.sha256(TAG);
  const tagged = new Uint8Array(2 * tag.length + signed.length);
  tagged.set(tag);
  tagged.set(tag, tag.length);
  tagged.set(signed, 2 * tag.length);
  return crypto.sha256(tagged);
}

function writeJob(bytes: Uint8Array, view: DataView, job: JobCommitment): void {
  const numbers = [
    job.version,
    job.coinbaseTxVersion,
    job.coinbaseTxInputNSequence,
    job.coinbaseTxLocktime,
    job.nbits,
    job.minNtime,
  ];
  numbers.forEach((value, at) => view.setUint32(HEAD_SIZE + at * 4, value, true));
  let at = HEAD_SIZE + numbers.length * 4;
  for (const field of [job.prevHash, job.coinbasePrefix, job.coinbaseTxOutputs, job.merklePath]) {
    bytes.set(field, at);
    at += field.length;
  }
  bytes[at] = job.extranonceSize;
}

function readJob(bytes: Uint8Array, view: DataView): JobCommitment {
  const number = (at: number): number => view.getUint32(HEAD_SIZE + at * 4, true);
  const hashes = HEAD_SIZE + 6 * 4;
  const digest = (at: number): Uint8Array =>
    bytes.subarray(hashes + 32 + at * DIGEST_SIZE, hashes + 32 + (at + 1) * DIGEST_SIZE);
  return {
    version: number(0),
    coinbaseTxVersion: number(1),
    coinbaseTxInputNSequence: number(2),
    coinbaseTxLocktime: number(3),
    nbits: number(4),
    minNtime: number(5),
    prevHash: bytes.subarray(hashes, hashes + 32),
    coinbasePrefix: digest(0),
    coinbaseTxOutputs: digest(1),
    merklePath: digest(2),
    extranonceSize: bytes[HEAD_SIZE + JOB_SIZE - 1] ?? 0,
  };
}
