import type { Random } from "../harness/random.ts";
import { collectionOf, type Subject, subjects } from "./codec-peer.ts";

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
