import { isDeepStrictEqual } from "node:util";
import { formatHostPort, NetworkError, parseHostPort } from "@adit/network-helpers";
import {
  encodeTicket,
  formatIrohAddress,
  parseEndpointId,
  parseIrohAddress,
  parseTicket,
} from "@adit/network-helpers/iroh";
import fc from "fast-check";
import { anyBytes, damagedOneOf, textOf, utf8 } from "../arbitraries.ts";
import { rule, type Target, unlessRefused } from "../target.ts";

const endpointId = "ae58ff8833241ac82d6ff7611046ed67b5072d142c588d0063e942d9a75502b6";
const address = {
  endpointId,
  relayUrls: ["https://relay.example/"],
  addresses: ["192.0.2.1:4433", "[2001:db8::1]:4433"],
};
const texts: readonly string[] = [
  "pool.example:3333",
  "[2001:db8::1]:3333",
  endpointId,
  encodeTicket(address),
  formatIrohAddress(address),
  `${endpointId}?relay=https%3A%2F%2Frelay.example&addr=%5B%3A%3A1%5D:1`,
];

/** Text as the address of a peer: host and port, Iroh endpoint id, ticket, dial address. */
export const addresses: Target<Uint8Array> = {
  inputs: fc.oneof(damagedOneOf(fc.constantFrom(...texts).map(utf8)), anyBytes(120)),
  run(bytes) {
    const text = textOf(bytes);
    const hostPort = unlessRefused([NetworkError], () => parseHostPort(text));
    if (hostPort !== undefined) {
      const again = formatHostPort(hostPort);
      rule(formatHostPort(parseHostPort(again)) === again, "a host and port change when written again");
    }
    unlessRefused([NetworkError], () => parseEndpointId(text));
    const ticket = unlessRefused([NetworkError], () => parseTicket(text));
    if (ticket !== undefined)
      rule(
        isDeepStrictEqual(sorted(parseTicket(encodeTicket(ticket))), sorted(ticket)),
        "a ticket changes when written again",
      );
    const dialled = unlessRefused([NetworkError], () => parseIrohAddress(text));
    if (dialled !== undefined)
      rule(
        isDeepStrictEqual(parseIrohAddress(formatIrohAddress(dialled)), dialled),
        "an address changes when written again",
      );
  },
  guided: { maxLength: 200, dictionary: ["?relay=", "&addr=", "https://", "%", "endpoint", "[::1]:1", ":"].map(utf8) },
};

function sorted({ endpointId: id, relayUrls, addresses: found }: ReturnType<typeof parseTicket>): unknown {
  return [id, relayUrls.toSorted(), found.toSorted()];
}
