import { collectionOf, type Subject, subjects } from "./codec-peer.ts";

/** What all random values of a run follow from. Another one looks further: INTEROP_SEED=7 pnpm test:interop */
export const interopSeed = Number(process.env["INTEROP_SEED"] ?? "20261127");

/** A small seeded generator (sfc32): the same numbers for the same seed and index on every machine. */
export class Random {
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;
  /** Keeps arrays and sequences short. */
  readonly small: boolean;

  constructor(seed: number, index: number, small = false) {
    this.#a = seed | 0;
    this.#b = index | 0;
    this.#c = 0x9e3779b9 | 0;
    this.small = small;
    for (let round = 0; round < 12; round += 1) this.uint32();
  }

  /** A number of 32 bits. */
  uint32(): number {
    const sum = (this.#a + this.#b + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = ((this.#c << 21) | (this.#c >>> 11)) + sum;
    return sum >>> 0;
  }

  /** A whole number from 0 to `most`, which is below 2^32. */
  upTo(most: number): number {
    return this.uint32() % (most + 1);
  }

  /** True once in `times`. */
  oneIn(times: number): boolean {
    return this.upTo(times - 1) === 0;
  }

  /** One of the values. */
  pick<T>(values: readonly T[]): T {
    return values[this.upTo(values.length - 1)] as T;
  }

  /** Bytes, all zero or all ones now and then. */
  bytes(length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    const kind = this.upTo(7);
    if (kind === 0) return bytes;
    if (kind === 1) return bytes.fill(0xff);
    for (let at = 0; at < length; at += 1) bytes[at] = this.uint32();
    return bytes;
  }

  /** A length or count: often 0, 1 or `most`, the latter less often when that is much more than `usual`. */
  length(most: number, usual: number): number {
    const rarity = most > 2 * usual ? 16 : 1;
    const kind = this.upTo(7);
    if (kind === 0) return 0;
    if (kind === 1) return 1;
    if (kind === 2 && this.oneIn(rarity)) return most;
    if (kind === 3 && this.oneIn(rarity)) return this.upTo(most);
    return this.upTo(Math.min(most, usual));
  }

  /** A well-formed string of exactly `length` bytes of UTF-8. */
  text(length: number): string {
    let text = "";
    for (let left = length; left > 0; ) {
      const kind = this.upTo(9);
      let next = String.fromCharCode(0x20 + this.upTo(94));
      if (kind === 0) next = String.fromCodePoint(this.upTo(0x10ffff));
      if (kind === 1) next = this.pick(["\0", "\n", '"', "\\", "\ufeff", "é", "€", "🔥", "\u{10ffff}"]);
      const size = Buffer.byteLength(next);
      if (/\p{Surrogate}/u.test(next) || size > left) continue;
      text += next;
      left -= size;
    }
    return text;
  }
}

const U64_MAX = 0xffff_ffff_ffff_ffffn;
const floats = [0, -0, 2 ** -149, -(2 ** -126 - 2 ** -149), 2 ** -126, 3.4028234663852886e38, -3.4028234663852886e38];
const specialFloats = [...floats, Infinity, -Infinity, Number.NaN];

function integer(most: number): (random: Random) => number {
  return (random) => {
    const any = random.upTo(most);
    return random.pick([0, 1, most - 1, most, any, any, any, any]);
  };
}

function array(most: number): (random: Random) => Uint8Array {
  return (random) => random.bytes(random.length(random.small ? Math.min(most, 40) : most, 120));
}

const scalars: Readonly<Record<string, (random: Random) => unknown>> = {
  BOOL: (random) => random.oneIn(2),
  U8: integer(0xff),
  U16: integer(0xffff),
  U32: integer(0xffff_ffff),
  U64: (random) => {
    const any = (BigInt(random.uint32()) << 32n) | BigInt(random.uint32());
    return random.pick([0n, 1n, U64_MAX - 1n, U64_MAX, any, any, any, any]);
  },
  U256: (random) => random.bytes(32),
  F32: (random) => {
    if (random.oneIn(3)) return random.pick(specialFloats);
    const bits = Uint32Array.of(random.uint32());
    const [value = 0] = new Float32Array(bits.buffer);
    return value;
  },
  STR0_255: (random) => random.text(random.length(255, 120)),
  B0_32: array(32),
  B0_255: array(255),
  B0_64K: array(0xffff),
  B0_16M: array(500),
};

/** Fields whose valid values are fewer than their type has. */
const narrowed: Readonly<Record<string, (random: Random) => unknown>> = {
  "SetupConnection.protocol": (random) => random.upTo(2),
};

function valueOf(spec: string, random: Random): unknown {
  const collection = collectionOf(spec);
  if (collection !== undefined) {
    const [kind, element] = collection;
    if (kind === "OPTION") return random.oneIn(2) ? valueOf(element, random) : null;
    const most = kind === "SEQ0_255" ? 0xff : random.oneIn(8) ? 0xffff : 300;
    const count = random.length(random.small ? 3 : most, 12);
    return Array.from({ length: count }, () => valueOf(element, random));
  }
  const scalar = scalars[spec];
  if (scalar === undefined) throw new Error(`no random values for ${spec}: add them to scalars`);
  return scalar(random);
}

/** Message `index` of a run: the messages of our tables take turns. */
export function randomMessage(random: Random, index: number): { readonly subject: Subject; readonly message: object } {
  const subject = subjects[index % subjects.length] as Subject;
  const { name, fields } = subject.row;
  const values = Object.entries(fields).map(([field, { spec }]) => [
    field,
    narrowed[`${name}.${field}`]?.(random) ?? valueOf(spec, random),
  ]);
  return { subject, message: { name, ...Object.fromEntries(values) } };
}
