import { upstreamSettings } from "@adit/role-kit";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import type { DialledUpstream } from "./network.ts";
import { reconnectUpstream } from "./reconnect.ts";

const KEY = "9bkwaTovhmTsHTiW4irh49fwaY6fdAb8eoGfbhP4416egANfbZg";
const ID = "ab".repeat(32);
const entry = z.strictObject(upstreamSettings);
const tcp = {
  ...entry.parse({ address: "pool.example", port: 3333, authorityPubkey: KEY }),
  transport: "tcp",
} as const;
const iroh = {
  ...entry.parse({ endpointId: ID, relayUrl: "https://relay.example/", authorityPubkey: KEY }),
  transport: "iroh",
} as const;

describe("a Reconnect leads", () => {
  test("to the address in the config when it names none, also without a key", () => {
    const { authorityPubkey: _, ...open } = tcp;
    expect(reconnectUpstream(open, { newHost: "", newPort: 0 })).toBe(open);
    expect(reconnectUpstream(open, { newHost: "pool.example", newPort: 3333 })).toBe(open);
    expect(reconnectUpstream(iroh, { newHost: "", newPort: 0 })).toBe(iroh);
  });

  test("to another host or port, under the key that the config names", () => {
    expect(reconnectUpstream(tcp, { newHost: "other.example", newPort: 4444 })).toEqual({
      ...tcp,
      address: "other.example",
      port: 4444,
    });
    expect(reconnectUpstream(tcp, { newHost: "", newPort: 4444 })).toMatchObject({
      address: "pool.example",
      port: 4444,
      authorityPubkey: KEY,
    });
    expect(reconnectUpstream(tcp, { newHost: "2001:db8::1", newPort: 0 })).toMatchObject({ port: 3333 });
  });

  test("from Iroh to a host by TCP, and to another endpoint without what was known of the first", () => {
    expect(reconnectUpstream(iroh, { newHost: "192.0.2.1", newPort: 1 })).toMatchObject({
      transport: "tcp",
      address: "192.0.2.1",
      port: 1,
      authorityPubkey: KEY,
    });
    const other = reconnectUpstream(iroh, { newHost: "cd".repeat(32), newPort: 0 });
    expect(other).toMatchObject({ transport: "iroh", endpointId: "cd".repeat(32), authorityPubkey: KEY });
    expect(other.relayUrl).toBeUndefined();
    const ticket = `endpoint${"a".repeat(55)}`;
    expect(reconnectUpstream(tcp, { newHost: ticket, newPort: 0 })).toMatchObject({ transport: "iroh", ticket });
  });
});

describe("a Reconnect is not followed", () => {
  test.each([
    ["without an authority key", { ...tcp, authorityPubkey: undefined }, { newHost: "evil.example", newPort: 1 }],
    ["without encryption", { ...tcp, encryption: "plain" }, { newHost: "", newPort: 1 }],
    ["to what is no host", tcp, { newHost: "evil\u0000.example", newPort: 1 }],
    ["to a host that looks like an option", tcp, { newHost: "-evil", newPort: 1 }],
    ["to a host without a port", iroh, { newHost: "other.example", newPort: 0 }],
  ] as const)("%s", (_what, upstream, target) => {
    expect(() => reconnectUpstream(upstream as DialledUpstream, target)).toThrow(/not followed/);
  });
});
