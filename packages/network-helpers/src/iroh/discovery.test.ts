import { describe, expect, test } from "vitest";
import { parseDialAddress } from "./address.ts";
import { type DiscoveryMeans, describeSteps, discover } from "./discovery.ts";
import { encodeTicket } from "./ticket.ts";

const id = "ae58ff8833241ac82d6ff7611046ed67b5072d142c588d0063e942d9a75502b6";
const never = new AbortController().signal;
const off: DiscoveryMeans = { relay: "disabled", lan: "lan_discovery is off", signal: never };

describe("finding a peer", () => {
  test("adds up what every source knows, the most certain first, each address once", async () => {
    const ticket = encodeTicket({
      endpointId: id,
      relayUrls: ["https://relay.example/"],
      addresses: ["192.0.2.7:1", "192.0.2.8:1"],
    });
    const target = parseDialAddress(`${ticket}?addr=192.0.2.8:1&addr=localhost:9`);
    const found = await discover(target, {
      relay: "default",
      lan: async () => ({ addresses: ["10.0.0.1:1", "192.0.2.7:1"], detail: "answered" }),
      signal: never,
    });
    expect(found).toMatchObject({ endpointId: id, relayUrl: "https://relay.example/" });
    const dns = found.steps.find(({ source }) => source === "dns")?.addresses ?? [];
    expect(dns).toContain("127.0.0.1:9");
    expect(found.addresses).toEqual(["192.0.2.8:1", "192.0.2.7:1", ...dns, "10.0.0.1:1"]);
    expect(describeSteps(found.steps.filter(({ source }) => source !== "dns"))).toBe(
      "configured found 192.0.2.8:1 (in the config); ticket found 192.0.2.7:1, 192.0.2.8:1 (in the ticket); " +
        "lan found 10.0.0.1:1, 192.0.2.7:1 (answered); relay found https://relay.example/ (as given); " +
        "n0-dns asked (by iroh while it connects)",
    );
  });

  test("says of an id alone that nothing was there to ask, and how that is changed", async () => {
    const { addresses, relayUrl, steps } = await discover(parseDialAddress(id), off);
    expect([addresses, relayUrl]).toEqual([[], undefined]);
    expect(describeSteps(steps)).toBe(
      'lan not-used (lan_discovery is off); n0-dns not-used (asked only with relay = "default")',
    );
  });

  test("uses no relay where relays are disabled, and says so", async () => {
    const { relayUrl, steps } = await discover(parseDialAddress(`${id}?relay=https://relay.example`), off);
    expect(relayUrl).toBeUndefined();
    expect(describeSteps(steps)).toContain("relay not-used https://relay.example/ (relays are disabled on this node)");
  });

  test("goes on when a source fails, and names the failure", async () => {
    const target = parseDialAddress(`${id}?addr=no-such-name.invalid:1&addr=192.0.2.8:1`);
    const lan = (): Promise<never> => Promise.reject(new Error("no such device"));
    const { addresses, steps } = await discover(target, { ...off, lan });
    expect(addresses).toEqual(["192.0.2.8:1"]);
    expect(describeSteps(steps)).toMatch(/dns failed \(no-such-name\.invalid:1: E\w+\); lan failed \(no such device\)/);
  });

  test("ends with the signal's reason while a source keeps silent, and gives iroh no more addresses than it takes", async () => {
    const stop = new AbortController();
    const finding = discover(parseDialAddress(id), { ...off, signal: stop.signal, lan: () => new Promise(() => {}) });
    stop.abort(new Error("enough"));
    await expect(finding).rejects.toThrow("enough");
    const many = Array.from({ length: 40 }, (_, at) => `10.0.0.${at}:1`);
    const lan = async () => ({ addresses: many, detail: "answered" });
    expect((await discover(parseDialAddress(id), { ...off, lan })).addresses).toHaveLength(16);
  });
});
