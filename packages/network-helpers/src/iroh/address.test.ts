import { EndpointAddr, EndpointId, EndpointTicket, SecretKey } from "@number0/iroh/index.js";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { NetworkError } from "../errors.ts";
import { formatIrohAddress, parseIrohAddress } from "./address.ts";
import { endpointIdOf, parseEndpointId } from "./endpoint-id.ts";
import { encodeTicket, type IrohAddress, parseTicket } from "./ticket.ts";

const id = endpointIdOf(new Uint8Array(32).fill(1));

/** What the native binding itself makes of an address; it keeps one relay. */
function nativeTicket(address: IrohAddress): string {
  const native = new EndpointAddr(EndpointId.fromString(address.endpointId), address.relayUrls[0], [
    ...address.addresses,
  ]);
  return EndpointTicket.fromAddr(native).toString();
}

const port = fc.integer({ min: 1, max: 0xffff });
const ipv4 = fc.tuple(fc.ipV4(), port).map(([ip, port]) => `${ip}:${port}`);
const ipv6 = fc
  .tuple(fc.uint8Array({ minLength: 16, maxLength: 16 }), port)
  // Rust writes IPv4-mapped ones with dots.
  .filter(([bytes]) => bytes.subarray(0, 10).some((byte) => byte !== 0))
  .map(([bytes, port]) => {
    const groups = Array.from({ length: 8 }, (_, index) =>
      (bytes[2 * index]! * 256 + bytes[2 * index + 1]!).toString(16),
    );
    return `${new URL(`http://[${groups.join(":")}]`).hostname}:${port}`;
  });
const anyAddress: fc.Arbitrary<IrohAddress> = fc.record({
  endpointId: fc.uint8Array({ minLength: 32, maxLength: 32 }).map(endpointIdOf),
  relayUrls: fc.constantFrom([], ["https://relay.example./"], ["http://127.0.0.1:3340/"]),
  addresses: fc.uniqueArray(fc.oneof(ipv4, ipv6), { maxLength: 12 }),
});

function codeOf(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    return error instanceof NetworkError ? error.code : String(error);
  }
  return "no error";
}

describe("endpoint ids", () => {
  test("are those the native binding derives from the same secret key", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), (key) => {
        expect(endpointIdOf(key)).toBe(
          SecretKey.fromBytes([...key])
            .public()
            .toString(),
        );
      }),
      { numRuns: 20 },
    );
  });

  test("are read as hex of either case and as base32, and nothing else", () => {
    const base32 = encodeTicket({ endpointId: id, relayUrls: [], addresses: [] });
    expect(parseEndpointId(id.toUpperCase())).toBe(id);
    expect(parseEndpointId(EndpointId.fromString(id).toString())).toBe(id);
    for (const bad of ["", "abc", id.slice(1), `${id}0`, base32]) {
      expect(codeOf(() => parseEndpointId(bad))).toBe("invalid-config");
    }
  });

  test("are refused exactly when the native binding finds no public key in them", () => {
    const edge = fc.nat(15).map((digit) => digit.toString(16).repeat(64));
    const random = fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => Buffer.from(bytes).toString("hex"));
    fc.assert(
      fc.property(fc.oneof(edge, random), (text) => {
        const native = codeOf(() => EndpointId.fromString(text));
        expect(codeOf(() => parseEndpointId(text)) === "no error").toBe(native === "no error");
      }),
    );
  });
});

describe("tickets", () => {
  test("are byte for byte those of the native binding, and read back the same", () => {
    fc.assert(
      fc.property(anyAddress, (address) => {
        const ticket = encodeTicket(address);
        expect(ticket).toBe(nativeTicket(address));
        const parsed = parseTicket(ticket);
        expect(parsed.endpointId).toBe(address.endpointId);
        expect(parsed.relayUrls).toEqual(address.relayUrls);
        expect(parsed.addresses.toSorted()).toEqual(address.addresses.toSorted());
      }),
      { numRuns: 200 },
    );
  });

  test("are refused with invalid-config when cut, changed in form, or followed by more, as the native binding refuses them", () => {
    const ticket = encodeTicket({ endpointId: id, relayUrls: [], addresses: ["192.0.2.7:3333"] });
    for (const bad of [
      ticket.toUpperCase(),
      ticket.slice(0, -2),
      `${ticket}aa`,
      ticket.slice(3),
      `node${ticket.slice(8)}`,
    ]) {
      expect(codeOf(() => parseTicket(bad))).toBe("invalid-config");
      expect(() => EndpointTicket.fromString(bad)).toThrow();
    }
  });

  test("never fail with anything but a NetworkError", () => {
    const body = fc.string({
      unit: fc.constantFrom(...Array.from("abcdefghijklmnopqrstuvwxyz234567")),
      maxLength: 300,
    });
    fc.assert(
      fc.property(body, (text) => {
        expect(["no error", "invalid-config"]).toContain(codeOf(() => parseTicket(`endpoint${text}`)));
      }),
    );
    fc.assert(
      fc.property(fc.string(), (text) => {
        expect(codeOf(() => parseTicket(text))).toBe("invalid-config");
      }),
    );
  });

  test("cannot hold a name", () => {
    expect(codeOf(() => encodeTicket({ endpointId: id, relayUrls: [], addresses: ["pool.example:3333"] }))).toBe(
      "invalid-config",
    );
  });
});

describe("dial addresses", () => {
  test("are an id, a ticket, or either with relays and addresses added", () => {
    const ticket = encodeTicket({ endpointId: id, relayUrls: [], addresses: ["192.0.2.7:3333"] });
    expect(parseIrohAddress(id)).toEqual({ endpointId: id, relayUrls: [], addresses: [] });
    expect(parseIrohAddress(`${ticket}?addr=[2001:DB8::1]:3333&addr=pool.example:1&addr=192.0.2.7:3333`)).toEqual({
      endpointId: id,
      relayUrls: [],
      addresses: ["192.0.2.7:3333", "[2001:db8::1]:3333", "pool.example:1"],
    });
    expect(parseIrohAddress(`${id}?relay=https%3A%2F%2Frelay.example%3Fa%3D1%26b`).relayUrls).toEqual([
      "https://relay.example/?a=1&b",
    ]);
  });

  test("survive being written and read", () => {
    fc.assert(
      fc.property(anyAddress, (address) => {
        expect(parseIrohAddress(formatIrohAddress(address))).toEqual(address);
      }),
    );
    const odd = { endpointId: id, relayUrls: ["https://relay.example/?a=1&b#%"], addresses: [] };
    expect(parseIrohAddress(formatIrohAddress(odd)).relayUrls).toEqual([new URL(odd.relayUrls[0]!).href]);
  });

  test.each([
    "pool.example:3333",
    `${id}?`,
    `${id}?port=1`,
    `${id}?addr=1.2.3.4`,
    `${id}?addr=1.2.3.4:0`,
    encodeTicket({ endpointId: id, relayUrls: [], addresses: ["1.2.3.4:0"] }),
    `${id}?addr=1.2.3.4:65536`,
    `${id}?addr=1.2.3:80`,
    `${id}?addr=1.2.3.999:80`,
    `${id}?addr=[::g]:80`,
    `${id}?addr=a b:80`,
    `${id}?relay=relay.example`,
    `${id}?relay=ftp://relay.example`,
    `${id}?addr=%zz`,
    `${id}?${Array.from({ length: 17 }, (_, index) => `addr=10.0.0.${index}:1`).join("&")}`,
  ])("refuse %s", (text) => {
    expect(codeOf(() => parseIrohAddress(text))).toBe("invalid-config");
  });
});
