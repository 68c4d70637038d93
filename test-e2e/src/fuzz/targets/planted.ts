import fc from "fast-check";
import { type AnyTarget, rule, type Target } from "../target.ts";

// Targets with a fault put there on purpose: they test the search, and are searched by nothing else.

const bytes = fc.uint8Array({ maxLength: 64, size: "max" });

/** Each byte that is right leads to a branch of its own: one input in four billion has them all. */
const magic: Target<Uint8Array> = {
  inputs: bytes,
  run(input) {
    if (input[0] === 0x6d && input[1] === 0x61 && input[2] === 0x67 && input[3] === 0x69)
      rule(false, "the magic was found");
  },
  guided: { maxLength: 64, dictionary: [] },
};

const crash: Target<Uint8Array> = {
  inputs: bytes,
  run(input) {
    rule(input.filter((byte) => byte > 200).length < 3, "three bytes above 200");
  },
};

const hang: Target<Uint8Array> = {
  inputs: bytes,
  run(input) {
    while ((input[0] ?? 0) > 250);
  },
};

const slow: Target<readonly number[]> = {
  // Not made smaller: each attempt would take its time as well.
  inputs: fc.noShrink(fc.array(fc.nat(1000), { maxLength: 20 })),
  run(steps) {
    const before = process.cpuUsage();
    const used = (): number => {
      const { user, system } = process.cpuUsage(before);
      return user + system;
    };
    while (steps.some((step) => step > 900) && used() < 150_000);
  },
};

const exit: Target<Uint8Array> = {
  inputs: bytes,
  run(input) {
    if ((input[0] ?? 0) > 250) process.abort();
  },
};

const hoard: Uint8Array[] = [];
const leak: Target<Uint8Array> = {
  inputs: bytes,
  run() {
    hoard.push(new Uint8Array(2_000));
  },
};

const sound: Target<Uint8Array> = {
  inputs: bytes,
  run(input) {
    rule(input.length <= 64, "longer than it can be");
  },
};

/** By name. */
export const planted: Readonly<Record<string, AnyTarget>> = { magic, crash, hang, slow, exit, leak, sound };
