import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { RouteBook } from "./route-book.ts";
import { transportsTo } from "./upstream-routes.ts";

interface Entry {
  readonly transport: "tcp" | "iroh" | "dual";
  readonly prefer: "tcp" | "iroh";
  readonly address: string;
  readonly account?: { readonly name: string };
}

const entry = (address: string, more: Partial<Entry> = {}): Entry => ({
  transport: "tcp",
  prefer: "iroh",
  address,
  ...more,
});
const book = (): RouteBook<Entry, "tcp" | "iroh"> => new RouteBook((one: Entry) => transportsTo(one));
const brief = (routes: ReturnType<ReturnType<typeof book>["routesTo"]>): readonly string[] =>
  routes.map(({ id, upstream, place, way }) => `${id}: upstream ${upstream} at ${place} over ${way}`);

describe("the numbers of routes", () => {
  test("are those of their places at first, and stay when the order changes", () => {
    const numbers = book();
    const dual = entry("b", { transport: "dual" });
    const first = ["0: upstream 0 at 0 over tcp", "1: upstream 1 at 1 over iroh", "2: upstream 1 at 1 over tcp"];
    expect(brief(numbers.routesTo([entry("a"), dual]))).toEqual(first);
    expect(brief(numbers.routesTo([dual, entry("c"), entry("a")]))).toEqual([
      "1: upstream 1 at 0 over iroh",
      "2: upstream 1 at 0 over tcp",
      "3: upstream 2 at 1 over tcp",
      "0: upstream 0 at 2 over tcp",
    ]);
    expect(brief(numbers.routesTo([entry("a"), dual]))).toEqual(first);
  });

  test("stay for the transports that stay, whichever is preferred", () => {
    const numbers = book();
    numbers.routesTo([entry("a")]);
    expect(brief(numbers.routesTo([entry("a", { transport: "dual" })]))).toEqual([
      "1: upstream 0 at 0 over iroh",
      "0: upstream 0 at 0 over tcp",
    ]);
    expect(brief(numbers.routesTo([entry("a", { transport: "dual", prefer: "tcp" })]))).toEqual([
      "0: upstream 0 at 0 over tcp",
      "1: upstream 0 at 0 over iroh",
    ]);
  });

  test("are others for an entry with any other key changed, and for each of two equal entries", () => {
    const numbers = book();
    const ids = (entries: readonly Entry[]): readonly number[] => numbers.routesTo(entries).map(({ id }) => id);
    expect(ids([entry("a", { account: { name: "x" } })])).toEqual([0]);
    expect(ids([entry("a", { account: { name: "y" } })])).toEqual([1]);
    expect(ids([entry("a")])).toEqual([2]);
    expect(ids([entry("a"), entry("a")])).toEqual([2, 3]);
    expect(ids([entry("a")])).toEqual([2]);
  });

  test("do not depend on the order of an entry's keys", () => {
    const numbers = book();
    numbers.routesTo([entry("a")]);
    const { address, prefer, transport } = entry("a");
    expect(numbers.routesTo([{ address, prefer, transport }])[0]?.id).toBe(0);
  });
});

test("whatever the configs are, no number names two routes, and an entry that stays keeps its numbers", () => {
  const someEntry = fc.record({
    transport: fc.constantFrom("tcp" as const, "iroh" as const, "dual" as const),
    prefer: fc.constantFrom("tcp" as const, "iroh" as const),
    // More than are remembered.
    address: fc.nat(200).map(String),
  });
  const lists = fc.array(fc.uniqueArray(someEntry, { maxLength: 16, selector: ({ address }) => address }), {
    maxLength: 30,
  });
  fc.assert(
    fc.property(lists, (all) => {
      const numbers = book();
      const named = new Map<number, string>();
      let before = new Map<string, number>();
      for (const list of all) {
        const now = new Map<string, number>();
        for (const { id, entry: one, way } of numbers.routesTo(list)) {
          const name = `${one.address} over ${way}`;
          expect(named.get(id) ?? name).toBe(name);
          expect(before.get(name) ?? id).toBe(id);
          named.set(id, name);
          now.set(name, id);
        }
        expect(new Set(now.values()).size).toBe(now.size);
        before = now;
      }
    }),
  );
});

test("entries that were taken out are forgotten when many have come since", () => {
  const numbers = book();
  const idOf = (address: string): number | undefined => numbers.routesTo([entry(address)])[0]?.id;
  const first = idOf("first");
  for (let at = 0; at < 64; at += 1) idOf(`another ${at}`);
  expect(idOf("first")).toBe(first);
  for (let at = 0; at < 65; at += 1) idOf(`yet another ${at}`);
  expect(idOf("first")).not.toBe(first);
});
