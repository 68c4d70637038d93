import { type Answer, decode, encode, type RecordType } from "dns-packet";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { MAX_WANTED } from "./lan-cache.ts";
import { LanCore, MDNS_PORT } from "./lan-core.ts";
import { MAX_PACKET, queryPacket, readPacket, responsePacket } from "./packet.ts";
import { instanceName, type LanService, recordsOf, SERVICE, SERVICE_TYPES } from "./records.ts";
import { fromZeroconf, ours } from "./testing/vectors.ts";

const id = "ae58ff8833241ac82d6ff7611046ed67b5072d142c588d0063e942d9a75502b6";
const other = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
const service: LanService = { endpointId: id, alpns: ["sv2-m"], addresses: ["192.168.7.9:34255", "[fd00::9]:34256"] };
const neighbour = { address: "192.168.7.9", port: MDNS_PORT };
const bytesOf = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex, "hex"));

/** What a node sends when it starts to listen. */
function announcement(of: LanService = service, ttl?: number): Uint8Array {
  const { pointer, instance, hosts } = recordsOf(of);
  const records = [...pointer, ...instance, ...hosts];
  return responsePacket(ttl === undefined ? records : records.map((record) => ({ ...record, ttl }) as Answer), []);
}

/** A core that answers for the service. */
function announcer(): LanCore {
  const core = new LanCore({ now: 0 });
  core.responder.add(id, () => service);
  return core;
}

/** A core that looks for the service. */
function asker(): LanCore {
  const core = new LanCore({ now: 0 });
  core.ask(id, 0);
  return core;
}

function answersTo(core: LanCore, packet: Uint8Array, now = 0): readonly string[] {
  return core.receive(packet, { address: "192.168.7.50", port: MDNS_PORT }, now).flatMap((answer) => {
    const { answers = [], additionals = [] } = decode(Buffer.from(answer));
    return [...answers.map(({ type }) => type), ...additionals.map(({ type }) => `+${type}`)];
  });
}

describe("an announcement", () => {
  test("is the bytes that other implementations understand, one service record a port", () => {
    expect(Buffer.from(announcement()).toString("hex")).toBe(ours);
    const core = announcer();
    expect(core.responder.announce().map((packet) => Buffer.from(packet).toString("hex"))).toEqual([ours]);
  });

  test("of another implementation, with compressed names, is understood", () => {
    const core = new LanCore({ now: 0 });
    core.ask(other, 0);
    core.receive(bytesOf(fromZeroconf), { address: "192.168.1.20", port: MDNS_PORT }, 0);
    expect(core.cache.found(other, 0)).toEqual(["192.168.1.20:4433", "[fd00::20]:4433"]);
  });

  test("fits an Ethernet frame, however many addresses and protocols the node has", () => {
    const addresses = Array.from(
      { length: 20 },
      (_, at) => `[fd00:1111:2222:3333:4444:5555:6666:${1000 + at}]:${10_000 + (at % 3)}`,
    );
    const alpns = Array.from({ length: 50 }, (_, at) => `protocol-${at}`);
    expect(announcement({ ...service, addresses, alpns }).length).toBeLessThanOrEqual(1472);
  });

  test("is noticed to be old when the node's addresses change", () => {
    const core = new LanCore({ now: 0 });
    let { addresses } = service;
    core.responder.add(id, () => ({ ...service, addresses }));
    core.responder.announce();
    expect(core.responder.hasChanged()).toBe(false);
    addresses = ["10.0.0.1:1"];
    expect(core.responder.hasChanged()).toBe(true);
  });
});

describe("questions", () => {
  // The package's types leave out ANY, which it knows.
  const ask = (name: string, type: RecordType | "ANY"): Uint8Array => queryPacket([{ name, type: type as RecordType }]);
  const [host] = recordsOf(service).hosts;

  test("are answered with what the asker needs next, whatever the case of their names", () => {
    expect(answersTo(announcer(), ask(SERVICE_TYPES, "PTR"))).toEqual(["PTR"]);
    expect(answersTo(announcer(), ask(SERVICE.toUpperCase(), "PTR"))).toEqual("PTR +SRV +SRV +TXT +A +AAAA".split(" "));
    expect(answersTo(announcer(), ask(instanceName(id), "SRV"))).toEqual(["SRV", "SRV", "TXT", "+A", "+AAAA"]);
    expect(answersTo(announcer(), ask(host?.name ?? "", "A"))).toEqual(["A", "AAAA"]);
    expect(answersTo(announcer(), ask(instanceName(id), "ANY"))).toEqual(["SRV", "SRV", "TXT", "+A", "+AAAA"]);
  });

  test("about others are not answered, and none once the node is withdrawn", () => {
    const core = announcer();
    expect(answersTo(core, ask(instanceName(other), "SRV"))).toEqual([]);
    expect(answersTo(core, ask("_http._tcp.local", "PTR"))).toEqual([]);
    expect(core.responder.remove(id)).toHaveLength(1);
    expect(answersTo(core, ask(SERVICE, "PTR"))).toEqual([]);
  });

  test("are answered once a second at most, so that nobody turns them into a flood", () => {
    const core = announcer();
    const counts = [0, 1, 500, 999, 1000, 1001].map((now) => answersTo(core, ask(SERVICE, "PTR"), now).length);
    expect(counts).toEqual([6, 0, 0, 0, 6, 0]);
  });

  test("whose asker knows the answer are not answered, until half of its time is over", () => {
    const knowing = (ttl: number): Uint8Array => {
      const answers = [{ ...recordsOf(service).pointer[0], ttl } as Answer];
      return encode({ type: "query", questions: [{ name: SERVICE, type: "PTR" }], answers });
    };
    expect(answersTo(announcer(), knowing(2250))).toEqual([]);
    expect(answersTo(announcer(), knowing(2249))).not.toEqual([]);
  });

  test("from a port that is not mDNS's own are not heard", () => {
    expect(announcer().receive(ask(SERVICE, "PTR"), { address: "192.168.7.50", port: 40_000 }, 0)).toEqual([]);
  });
});

describe("a peer that is looked for", () => {
  test("is asked for by its instance, found by the answer, and forgotten when that expires or says goodbye", () => {
    const core = new LanCore({ now: 0 });
    const answers = announcer().receive(core.ask(id, 0), { address: "192.168.7.50", port: MDNS_PORT }, 0);
    for (const answer of answers) core.receive(answer, neighbour, 0);
    expect(core.cache.found(id, 0)).toEqual(service.addresses);
    expect(core.cache.found(id, 119_999)).toEqual(service.addresses);
    expect(core.cache.found(id, 120_000)).toEqual([]);
    core.receive(announcement(), neighbour, 130_000);
    expect(core.cache.found(id, 130_000)).toEqual(service.addresses);
    core.receive(announcement(service, 0), neighbour, 130_001);
    expect(core.cache.found(id, 130_001)).toEqual([]);
  });

  test("is believed for two minutes, whatever its records say", () => {
    const core = asker();
    core.receive(announcement(service, 4_000_000_000), neighbour, 0);
    expect(core.cache.found(id, 120_000)).toEqual([]);
  });

  test("whose host comes without an address has it asked for, once", () => {
    const core = asker();
    const { instance, hosts } = recordsOf({ ...service, addresses: ["192.168.7.9:34255"] });
    const bare = responsePacket(instance, []);
    const [question] = core.receive(bare, neighbour, 0);
    expect(decode(Buffer.from(question ?? [])).questions).toMatchObject([{ type: "A" }, { type: "AAAA" }]);
    expect(core.receive(bare, neighbour, 0)).toEqual([]);
    core.receive(responsePacket(hosts, []), neighbour, 0);
    expect(core.cache.found(id, 0)).toEqual(["192.168.7.9:34255"]);
  });
});

describe("hostile neighbours", () => {
  const fake = (addresses: readonly string[], of = id): Uint8Array =>
    announcement({ endpointId: of, alpns: [], addresses });

  test("cannot aim a dial at the internet: only local addresses and the sender's own are taken", () => {
    const core = asker();
    core.receive(fake(["8.8.8.8:53", "192.168.7.66:1", "127.0.0.1:1", "[2001:db8::1]:1", "[fe80::1]:1"]), neighbour, 0);
    expect(core.cache.found(id, 0)).toEqual(["192.168.7.66:1"]);
    core.receive(fake(["203.0.113.9:1"]), { address: "203.0.113.9", port: MDNS_PORT }, 0);
    expect(core.cache.found(id, 0)).toContain("203.0.113.9:1");
  });

  test("cannot fill memory: of thousands of instances that nobody looks for, nothing is kept", () => {
    const core = asker();
    for (let at = 0; at < 5000; at += 1) {
      const stranger = at.toString(16).padStart(64, "0");
      core.receive(fake([`10.0.${at >> 8}.${at & 255}:1`], stranger), neighbour, at * 20);
    }
    expect([core.cache.size, core.counts().read]).toEqual([1, 5000]);
    core.receive(announcement(), neighbour, 100_000);
    expect(core.cache.found(id, 100_000)).toEqual(service.addresses);
  });

  test("cannot fill memory for an id that is looked for: hosts and addresses are few", () => {
    const core = asker();
    for (let at = 0; at < 1000; at += 1) {
      const records = recordsOf({ ...service, addresses: [`10.1.${at >> 8}.${at & 255}:${at + 1}`] });
      const name = `host-${at}.local`;
      const renamed = [...records.instance, ...records.hosts].flatMap((record): Answer[] => {
        if (record.type === "SRV") return [{ ...record, data: { port: at + 1, target: name } }];
        return record.type === "A" ? [{ ...record, name }] : [];
      });
      core.receive(responsePacket(renamed, []), neighbour, at * 20);
    }
    expect(core.cache.found(id, 20_000)).toHaveLength(4);
    for (let at = 0; at < 100; at += 1) core.receive(fake([`10.2.0.${at}:34255`]), neighbour, 30_000 + at * 20);
    expect(core.cache.found(id, 32_000).length).toBeLessThanOrEqual(8);
  });

  test("cannot be made of our own questions: as many ids as are looked for, the oldest makes room", () => {
    const core = new LanCore({ now: 0 });
    for (let at = 0; at <= MAX_WANTED; at += 1) core.ask(at.toString(16).padStart(64, "0"), at);
    expect(core.cache.size).toBe(MAX_WANTED);
    core.ask(id, 400_000);
    expect(core.cache.size).toBe(1);
  });

  test("that flood are not listened to: so many packets a second, the rest is dropped unread", () => {
    const core = announcer();
    const packet = queryPacket([{ name: SERVICE, type: "PTR" }]);
    for (let at = 0; at < 1000; at += 1) core.receive(packet, neighbour, 0);
    expect(core.counts()).toEqual({ read: 200, ignored: 0, dropped: 800 });
    expect(answersTo(core, packet, 2000)).not.toEqual([]);
  });

  test("cannot have the decoder allocate what a header of twelve bytes announces", () => {
    for (const [offset, length] of [4, 6, 8, 10].flatMap((at) => [[at, 12] as const, [at, 600] as const])) {
      const packet = new Uint8Array(length);
      packet.set([0xff, 0xff], offset);
      expect(readPacket(packet)).toBeUndefined();
    }
  });

  test("get nothing for packets that are too long, of another operation, or point in circles", () => {
    const long = new Uint8Array(MAX_PACKET + 1);
    long.set(queryPacket([{ name: SERVICE, type: "PTR" }]));
    const update = queryPacket([{ name: SERVICE, type: "PTR" }]).slice();
    update[2] = 0x28;
    const circle = bytesOf("000000000001000000000000c00c000c0001");
    for (const packet of [long, update, circle, new Uint8Array(0)]) expect(readPacket(packet)).toBeUndefined();
    const core = announcer();
    for (const packet of [long, update, circle]) expect(core.receive(packet, neighbour, 0)).toEqual([]);
    expect(core.counts()).toMatchObject({ read: 0, ignored: 3 });
  });

  test("cannot make the core throw, with noise or with packets bent out of shape", () => {
    const valid = [announcement(), bytesOf(fromZeroconf), queryPacket([{ name: instanceName(id), type: "SRV" }])];
    const bent = fc
      .tuple(fc.constantFrom(...valid), fc.array(fc.tuple(fc.nat(900), fc.nat(255)), { maxLength: 8 }), fc.nat(900))
      .map(([packet, changes, length]) => {
        const copy = packet.slice(0, Math.max(12, length));
        for (const [at, byte] of changes) if (at < copy.length) copy[at] = byte;
        return copy;
      });
    fc.assert(
      fc.property(fc.array(fc.oneof(bent, fc.uint8Array({ maxLength: 200 })), { maxLength: 20 }), (packets) => {
        const core = announcer();
        core.ask(id, 0);
        for (const packet of packets) {
          for (const answer of core.receive(packet, neighbour, 0)) expect(readPacket(answer)).toBeDefined();
        }
        expect(core.cache.found(id, 0).length).toBeLessThanOrEqual(8);
      }),
      { numRuns: 500 },
    );
  });
});
