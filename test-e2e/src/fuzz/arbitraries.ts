import type { Entropy } from "@adit/noise";
import fc from "fast-check";
import { Random } from "../harness/random.ts";

/** Any bytes, of any length up to `maxLength` alike. */
export function anyBytes(maxLength: number): fc.Arbitrary<Uint8Array> {
  return fc.uint8Array({ maxLength, size: "max" });
}

/** A sequence of up to `maxLength` steps, long ones as likely as short ones. */
export function sequence<Step>(step: fc.Arbitrary<Step>, maxLength: number): fc.Arbitrary<readonly Step[]> {
  return fc.array(step, { maxLength, size: "max" });
}

/** A change of one place in bytes, and of their length: see {@link damaged}. */
export interface Damage {
  readonly how: "flip" | "set" | "cut" | "insert" | "repeat" | "replace";
  /** Where, as a part of the length. */
  readonly at: number;
  readonly bytes: Uint8Array;
}

/** What may happen to bytes on their way. */
export const damage: fc.Arbitrary<Damage> = fc.record({
  how: fc.constantFrom<Damage["how"]>("flip", "set", "cut", "insert", "repeat", "replace"),
  at: fc.double({ min: 0, max: 1, noNaN: true }),
  bytes: fc.uint8Array({ minLength: 1, maxLength: 8 }),
});

/** The bytes after damage, each in turn. */
export function damaged(bytes: Uint8Array, damages: readonly Damage[]): Uint8Array {
  return damages.reduce((before, { how, at: part, bytes: piece }) => {
    const at = Math.min(Math.floor(part * before.length), Math.max(0, before.length - 1));
    const [head, tail] = [before.subarray(0, at), before.subarray(at)];
    switch (how) {
      case "flip":
        return Uint8Array.from(before, (byte, index) => (index === at ? byte ^ (1 << ((piece[0] ?? 0) & 7)) : byte));
      case "set":
        return Uint8Array.from(before, (byte, index) => (index === at ? (piece[0] ?? 0) : byte));
      case "cut":
        return head.slice();
      case "insert":
        return Buffer.concat([head, piece, tail]);
      case "repeat":
        return Buffer.concat([before, tail]);
      case "replace":
        return Buffer.concat([head, piece, tail.subarray(piece.length)]);
      default:
        return how satisfies never;
    }
  }, bytes);
}

/** One valid input of several, as it is or damaged. */
export function damagedOneOf(valid: fc.Arbitrary<Uint8Array>): fc.Arbitrary<Uint8Array> {
  return fc
    .tuple(valid, fc.array(damage, { maxLength: 3 }))
    .map(([bytes, damages]) => Uint8Array.from(damaged(bytes, damages)));
}

/** Text as bytes of UTF-8. */
export function utf8(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** Bytes as text, whatever they are. */
export function textOf(bytes: Uint8Array): string {
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
}

/** Bytes that follow from a number: keys that are the same each time. */
export function entropyOf(seed: number): Entropy {
  const random = new Random(seed, 0);
  return (length) => Uint8Array.from({ length }, () => random.upTo(0xff));
}
