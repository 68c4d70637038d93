import { LanCore } from "@adit/network-helpers/iroh";
import fc from "fast-check";
import { anyBytes, damagedOneOf, utf8 } from "../arbitraries.ts";
import { rule, type Target } from "../target.ts";

const PORT = 5353;
const wanted = "ae58ff8833241ac82d6ff7611046ed67b5072d142c588d0063e942d9a75502b6";
const own = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
const addresses = ["192.168.7.9:34255", "[fd00::9]:34256"];

/** A core that is announced and looks for somebody, as a jd-client is. */
function newCore(): LanCore {
  const core = new LanCore({ now: 0 });
  core.responder.add(own, () => ({ endpointId: own, alpns: ["sv2-m"], addresses }));
  return core;
}

/** What the wanted node sends, and what asks for either. */
function validPackets(): readonly Uint8Array[] {
  const neighbour = new LanCore({ now: 0 });
  neighbour.responder.add(wanted, () => ({ endpointId: wanted, alpns: ["sv2-m"], addresses }));
  return [...neighbour.responder.announce(), newCore().ask(own, 0), ...neighbour.responder.removeAll()];
}

/** A packet of a neighbour: mDNS as it comes from the network. */
export const lanPackets: Target<Uint8Array> = {
  inputs: fc.oneof(damagedOneOf(fc.constantFrom(...validPackets())), anyBytes(1500)),
  run(bytes) {
    const core = newCore();
    core.ask(wanted, 0);
    const said = core.receive(bytes, { address: "192.168.7.66", port: PORT }, 0);
    rule(said.length <= 1, "one packet brings several answers");
    rule(
      said.every(({ length }) => length <= 1472),
      "an answer does not fit an Ethernet frame",
    );
    const found = core.cache.found(wanted, 0);
    rule(found.length <= 8, "more addresses are kept than there may be");
    rule(core.cache.size === 1, "something is kept of a node that nobody looks for");
    rule(core.cache.found(wanted, 120_000).length === 0, "an answer is believed for longer than two minutes");
  },
  guided: {
    maxLength: 1500,
    dictionary: [utf8("_sv2-iroh"), utf8("_udp"), utf8("local"), Uint8Array.of(0xc0, 12), Uint8Array.of(0, 33, 128, 1)],
  },
};
