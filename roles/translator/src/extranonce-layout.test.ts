import { hex } from "@adit/bitcoin";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { extranonce1Of, extranonceSizesToAsk, layOutExtranonce, upstreamExtranonce } from "./extranonce-layout.ts";

const prefix = Uint8Array.of(1, 2, 3, 4);

describe("the extranonce of a channel", () => {
  test("with room has the miner's index as extranonce1 and the pool's prefix in coinb1", () => {
    for (const shared of [true, false]) {
      const layout = layOutExtranonce({ prefix, rollable: 16, extranonce2Size: 8, shared });
      expect(layout).toMatchObject({ indexSize: 4, extranonce2Size: 8 });
      expect(layout && hex(layout.filler)).toBe("0102030400000000");
      expect(layout && hex(extranonce1Of(layout, 0x0203))).toBe("00000203");
    }
  });

  test("that is shared and narrow gives extranonce1, then extranonce2, fewer bytes", () => {
    const sizes = [11, 10, 9, 4].map((rollable) => {
      const layout = layOutExtranonce({ prefix, rollable, extranonce2Size: 8, shared: true });
      return [layout?.indexSize, layout?.extranonce2Size];
    });
    expect(sizes).toEqual([
      [3, 8],
      [2, 8],
      [2, 7],
      [2, 2],
    ]);
    expect(layOutExtranonce({ prefix, rollable: 3, extranonce2Size: 8, shared: true })).toBeUndefined();
  });

  test("of one miner that is narrow takes extranonce1 from the prefix", () => {
    const layout = layOutExtranonce({ prefix, rollable: 9, extranonce2Size: 8, shared: false });
    expect(layout && [hex(layout.filler), hex(extranonce1Of(layout, 7))]).toEqual(["01", "02030400"]);
    expect(layOutExtranonce({ prefix, rollable: 1, extranonce2Size: 8, shared: false })).toBeUndefined();
  });

  test("submitted is always as long as the pool granted, and what the miner hashed behind the prefix", () => {
    const spaces = fc.record({
      prefix: fc.uint8Array({ maxLength: 16 }),
      rollable: fc.integer({ min: 2, max: 16 }),
      extranonce2Size: fc.integer({ min: 2, max: 8 }),
      shared: fc.boolean(),
    });
    fc.assert(
      fc.property(spaces, fc.integer({ min: 1, max: 0xffff }), (space, index) => {
        const layout = layOutExtranonce(space);
        if (layout === undefined) return;
        const extranonce1 = extranonce1Of(layout, index);
        const extranonce2 = new Uint8Array(layout.extranonce2Size).fill(0xee);
        const submitted = upstreamExtranonce(layout, space.prefix.length, { extranonce1, extranonce2 });
        expect(submitted).toHaveLength(space.rollable);
        const hashed = hex(layout.filler) + hex(extranonce1) + hex(extranonce2);
        expect(hashed).toBe(hex(space.prefix) + hex(submitted));
        if (layout.fixedExtranonce1 === null) expect(extranonce1.some((byte) => byte !== 0)).toBe(true);
      }),
    );
  });

  test("is asked for roomy first, and never less than can be mined with", () => {
    expect(extranonceSizesToAsk(8, true)).toEqual([12, 10, 4]);
    expect(extranonceSizesToAsk(8, false)).toEqual([12, 8, 2]);
  });
});
