import type { Random } from "../harness/random.ts";
import type { Guidance } from "./target.ts";

/** Bytes at which lengths, signs and characters change their meaning. */
const TELLING: readonly number[] = [0, 1, 2, 0x0a, 0x20, 0x22, 0x2c, 0x5c, 0x7b, 0x7f, 0x80, 0xfd, 0xfe, 0xff];
const MOST_CHANGES = 4;
const LONGEST_PIECE = 32;

type Mutation = (bytes: Uint8Array, random: Random, other: Uint8Array) => Uint8Array;

const mutations: readonly Mutation[] = [
  (bytes, random) => changed(bytes, random, (byte) => byte ^ (1 << random.upTo(7))),
  (bytes, random) => changed(bytes, random, () => random.upTo(0xff)),
  (bytes, random) => changed(bytes, random, () => random.pick(TELLING)),
  (bytes, random) => changed(bytes, random, (byte) => byte + random.upTo(8) - 4),
  (bytes, random) => spliced(bytes, random, random.bytes(1 + random.upTo(LONGEST_PIECE - 1))),
  (bytes, random) => spliced(bytes, random, Uint8Array.of(random.pick(TELLING))),
  // Out with a piece, or everything from a place on.
  (bytes, random) => without(bytes, random.upTo(bytes.length), 1 + random.upTo(LONGEST_PIECE - 1)),
  (bytes, random) => bytes.subarray(0, random.upTo(bytes.length)),
  // A piece of it, or of another input, at any place.
  (bytes, random) => spliced(bytes, random, pieceOf(bytes, random)),
  (bytes, random, other) => spliced(bytes, random, pieceOf(other, random)),
  (bytes, random, other) =>
    joined(bytes.subarray(0, random.upTo(bytes.length)), other.subarray(random.upTo(other.length))),
];

/** The input changed in one place or a few. */
export function mutated(
  bytes: Uint8Array,
  guidance: Guidance,
  { random, other }: { readonly random: Random; readonly other: Uint8Array },
): Uint8Array {
  let result = bytes;
  for (let left = 1 + random.upTo(MOST_CHANGES - 1); left > 0; left -= 1) {
    const word = guidance.dictionary.length > 0 && random.oneIn(8) ? random.pick(guidance.dictionary) : undefined;
    result =
      word === undefined
        ? random.pick(mutations)(result, random, other)
        : inserted(result, random.upTo(result.length), word);
  }
  return Uint8Array.from(result.subarray(0, guidance.maxLength));
}

function changed(bytes: Uint8Array, random: Random, change: (byte: number) => number): Uint8Array {
  if (bytes.length === 0) return random.bytes(1);
  const copy = Uint8Array.from(bytes);
  const at = random.upTo(copy.length - 1);
  copy[at] = change(copy[at] ?? 0);
  return copy;
}

/** Puts a piece in, or over what is there. */
function spliced(bytes: Uint8Array, random: Random, piece: Uint8Array): Uint8Array {
  const at = random.upTo(bytes.length);
  if (random.oneIn(2)) return inserted(bytes, at, piece);
  return joined(bytes.subarray(0, at), piece, bytes.subarray(Math.min(at + piece.length, bytes.length)));
}

function inserted(bytes: Uint8Array, at: number, piece: Uint8Array): Uint8Array {
  return joined(bytes.subarray(0, at), piece, bytes.subarray(at));
}

function without(bytes: Uint8Array, at: number, length: number): Uint8Array {
  return joined(bytes.subarray(0, at), bytes.subarray(Math.min(at + length, bytes.length)));
}

function pieceOf(bytes: Uint8Array, random: Random): Uint8Array {
  const at = random.upTo(bytes.length);
  return bytes.subarray(at, at + 1 + random.upTo(LONGEST_PIECE - 1));
}

function joined(...parts: readonly Uint8Array[]): Uint8Array {
  return Buffer.concat(parts);
}
