import { describe, expect, test } from "vitest";
import { nameTargets, parseTarget, relaysFor } from "./target.ts";

const id = "da977218a7c1c89ac1515b4b584af8c554f6724e34ea1ba030ebb4ad4ea15e55";
const relay = "https://relay.example.org/";

describe("a target", () => {
  test("is the address of a monitoring server, an endpoint id, or one with addresses", () => {
    expect(parseTarget("http://127.0.0.1:9090")).toMatchObject({ kind: "http", name: "127.0.0.1:9090" });
    expect(parseTarget(id)).toMatchObject({ kind: "iroh", name: "da977218a7…", address: { addresses: [] } });
    expect(parseTarget(`${id}?addr=192.0.2.1:5`)).toMatchObject({ address: { addresses: ["192.0.2.1:5"] } });
  });

  test.each(["", "pool", "127.0.0.1:9090", "http://", "endpointnonsense", id.slice(1)])("is not %j", (text) => {
    expect(() => parseTarget(text)).toThrow(expect.objectContaining({ code: "invalid-config" }));
    expect(() => parseTarget(text)).toThrow(/a target is an endpoint id/);
  });

  test.each([
    [["http://127.0.0.1:1"], "disabled"],
    [[`${id}?addr=192.0.2.1:5`], "disabled"],
    [[`${id}?addr=192.0.2.1:5`, id], "default"],
    [[`${id}?relay=${relay}`, `${id}?relay=${relay}&addr=192.0.2.1:5`], [{ url: relay }]],
  ])("of %j takes the relays %j", (texts, relays) => {
    expect(relaysFor(texts.map(parseTarget))).toEqual(relays);
  });
});

test("targets of a command line have short names, each another", () => {
  const named = nameTargets(["http://127.0.0.1:1", id, `${id}?addr=192.0.2.1:5`, "http://127.0.0.1:1"]);
  expect(named.map(({ name }) => name)).toEqual(["127.0.0.1:1", "da977218a7…", "da977218a7… (2)", "127.0.0.1:1 (2)"]);
  expect(named[2]).toMatchObject({ text: `${id}?addr=192.0.2.1:5`, target: { kind: "iroh" } });
});
