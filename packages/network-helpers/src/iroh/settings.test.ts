import { expect, test } from "vitest";
import { endpointIdOf } from "./endpoint-id.ts";
import { type IrohOptions, irohSettings } from "./settings.ts";

const base: IrohOptions = { relay: "disabled", bind: [], allowedPeers: [], maxConnectionsPerPeer: 8 };

test.each([
  [[], ["0.0.0.0:0", "[::]:0"], []],
  [["0.0.0.0:3333"], ["0.0.0.0:3333"], ["[::]:3333"]],
  [["127.0.0.1:3333"], ["127.0.0.1:3333"], ["[::1]:3333"]],
  [["192.0.2.1:3333"], ["192.0.2.1:3333"], ["[::1]:3333"]],
  [["[::]:3333"], ["[::]:3333"], ["0.0.0.0:3333"]],
  [["[2001:DB8:0::1]:3333"], ["[2001:db8::1]:3333"], ["127.0.0.1:3333"]],
  [["[::1]:1", "127.0.0.1:2"], ["[::1]:1", "127.0.0.1:2"], []],
])("binding %j binds both families", (given, bind, bindOther) => {
  expect(irohSettings({ ...base, bind: given })).toMatchObject({ bind, bindOther });
});

test.each<[string, Partial<IrohOptions>]>([
  ["two addresses of one family, which would abort the process", { bind: ["127.0.0.1:1", "127.0.0.2:1"] }],
  ["three addresses", { bind: ["127.0.0.1:1", "[::1]:1", "[::2]:1"] }],
  ["a name to bind", { bind: ["localhost:1"] }],
  ["an address without a port", { bind: ["127.0.0.1"] }],
  ["a name as external address", { externalAddresses: ["pool.example:1"] }],
  ["an empty list of relays", { relay: [] }],
  ["a relay that is no URL", { relay: [{ url: "relay.example" }] }],
  ["an allowed peer that is no endpoint id", { allowedPeers: ["abc"] }],
  ["a cap of zero", { maxConnectionsPerPeer: 0 }],
  ["a deadline that is no number", { dialTimeoutMs: Number.NaN }],
])("%s is refused", (_, options) => {
  expect(() => irohSettings({ ...base, ...options })).toThrow(expect.objectContaining({ code: "invalid-config" }));
});

test("relay URLs and endpoint ids are brought to their normal form", () => {
  const id = endpointIdOf(new Uint8Array(32).fill(9));
  const settings = irohSettings({
    ...base,
    relay: [{ url: "http://127.0.0.1:3340", authToken: "t" }],
    allowedPeers: [id.toUpperCase()],
  });
  expect(settings.relay).toEqual([{ url: "http://127.0.0.1:3340/", authToken: "t" }]);
  expect(settings.allowedPeers).toEqual([id]);
});
