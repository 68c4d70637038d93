import { NetworkError, printable } from "../errors.ts";
import { parseEndpointId } from "./endpoint-id.ts";
import { formatSocketAddress, parseSocketAddress } from "./socket-address.ts";
import { type IrohAddress, isTicket, MAX_ADDRESSES, parseRelayUrl, parseTicket } from "./ticket.ts";

const MAX_TEXT = 8_192;

/** Relays and UDP addresses from one source. */
type Reach = Pick<IrohAddress, "relayUrls" | "addresses">;

/** An Iroh dial address with who said what. */
export interface DialAddress {
  /** 64 lowercase hex digits. */
  readonly endpointId: string;
  /** What the ticket knows; nothing when there is none. */
  readonly ticket: Reach;
  /** What was given beside the endpoint id or the ticket. */
  readonly configured: Reach;
}

/**
 * Reads an Iroh dial address: an endpoint id or a ticket, and optionally `?relay=URL&addr=HOST:PORT&addr=...` which adds
 * to what the ticket knows. Values may be percent-encoded. Throws NetworkError "invalid-config" naming the bad part.
 */
export function parseIrohAddress(text: string): IrohAddress {
  const { endpointId, ticket, configured } = parseDialAddress(text);
  return {
    endpointId,
    relayUrls: [...new Set([...ticket.relayUrls, ...configured.relayUrls])],
    addresses: [...new Set([...ticket.addresses, ...configured.addresses])],
  };
}

/** As {@link parseIrohAddress}, and keeps apart what the ticket knows and what is given beside it. */
export function parseDialAddress(text: string): DialAddress {
  if (text.length > MAX_TEXT) throw bad("the address is too long");
  const mark = text.indexOf("?");
  const who = mark === -1 ? text : text.slice(0, mark);
  const base = isTicket(who) ? parseTicket(who) : { endpointId: parseEndpointId(who), relayUrls: [], addresses: [] };
  const ticket = { relayUrls: base.relayUrls, addresses: base.addresses.map(readSocket) };
  const relayUrls = new Set<string>();
  const addresses = new Set<string>();
  for (const [key, value] of mark === -1 ? [] : parameters(text.slice(mark + 1))) {
    if (key === "relay") relayUrls.add(readRelay(value));
    else if (key === "addr") addresses.add(readSocket(value));
    else throw bad(`unknown parameter "${printable(key)}"; use relay or addr`);
  }
  const configured = { relayUrls: [...relayUrls], addresses: [...addresses] };
  for (const kind of ["relayUrls", "addresses"] as const) {
    if (new Set([...ticket[kind], ...configured[kind]]).size <= MAX_ADDRESSES) continue;
    throw bad(`more than ${MAX_ADDRESSES} relays or addresses; keep the ones that work`);
  }
  return { endpointId: base.endpointId, ticket, configured };
}

/** Writes `<endpoint id>?relay=URL&addr=HOST:PORT&...`, which `parseIrohAddress` reads back. */
export function formatIrohAddress(address: IrohAddress): string {
  const parameters = [
    ...address.relayUrls.map((url) => `relay=${escape(url)}`),
    ...address.addresses.map((socket) => `addr=${escape(socket)}`),
  ];
  return parameters.length === 0 ? address.endpointId : `${address.endpointId}?${parameters.join("&")}`;
}

function parameters(query: string): readonly (readonly [string, string])[] {
  return query.split("&").map((pair) => {
    const mark = pair.indexOf("=");
    try {
      return [pair.slice(0, Math.max(mark, 0)), decodeURIComponent(pair.slice(mark + 1))];
    } catch (cause) {
      throw bad("bad percent-encoding", cause);
    }
  });
}

function readRelay(text: string): string {
  const url = parseRelayUrl(text);
  if (url === undefined) throw bad(`relay "${printable(text)}" is no http or https URL`);
  return url;
}

function readSocket(text: string): string {
  const socket = parseSocketAddress(text);
  if (socket === undefined || socket.port === 0) {
    throw bad(`addr "${printable(text)}" is not IP:PORT, [IPv6]:PORT or NAME:PORT`);
  }
  return formatSocketAddress(socket);
}

/** Only what would break the pair apart: addresses stay readable. */
function escape(value: string): string {
  return value.replace(/[%&#\s]/g, encodeURIComponent);
}

function bad(what: string, cause?: unknown): NetworkError {
  const message = `bad Iroh address: ${what}; write it as ENDPOINT_ID or TICKET, optionally ?relay=URL&addr=IP:PORT`;
  return new NetworkError("invalid-config", { peer: "", message, cause });
}
