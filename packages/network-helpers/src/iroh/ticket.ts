import { base32nopad, hex } from "@scure/base";
import { NetworkError, printable } from "../errors.ts";
import { KEY_SIZE, parseEndpointId } from "./endpoint-id.ts";
import { formatSocketAddress, fromIpBytes, ipBytes, parseSocketAddress } from "./socket-address.ts";

/** What a dialler needs to know of an Iroh node. */
export interface IrohAddress {
  /** 64 lowercase hex digits. */
  readonly endpointId: string;
  /** Relays the node can be reached through, http or https. A dial uses the first. */
  readonly relayUrls: readonly string[];
  /** UDP addresses, `IP:PORT`, `[IPv6]:PORT` or `NAME:PORT`. A ticket holds no names. */
  readonly addresses: readonly string[];
}

/** Most relays and most direct addresses one address may hold. */
export const MAX_ADDRESSES = 16;

const PREFIX = "endpoint";
const MAX_TICKET = 4_096;
const VERSION = 0;
const RELAY = 0;
const IP = 1;

/** Whether the text claims to be a ticket: it begins as one. */
export function isTicket(text: string): boolean {
  return text.startsWith(PREFIX);
}

/**
 * Reads an endpoint ticket: "endpoint" and the lowercase base32 (no padding) of the postcard bytes
 * `00 | id[32] | varint n | n x (00 varint-length URL | 01 00 IPv4[4] varint port | 01 01 IPv6[16] varint port)`,
 * as iroh 1.0 writes it. Throws NetworkError "invalid-config".
 */
export function parseTicket(text: string): IrohAddress {
  if (!isTicket(text) || text.length > MAX_TICKET || text !== text.toLowerCase())
    throw badTicket("it does not look like one");
  let reader: TicketReader;
  try {
    reader = new TicketReader(base32nopad.decode(text.slice(PREFIX.length).toUpperCase()));
  } catch (cause) {
    throw badTicket("its text is damaged", cause);
  }
  if (reader.byte() !== VERSION) throw badTicket("it has a format this version does not know");
  const endpointId = parseEndpointId(hex.encode(reader.bytes(KEY_SIZE)));
  const relayUrls: string[] = [];
  const addresses: string[] = [];
  const count = reader.varint();
  if (count > 2 * MAX_ADDRESSES) throw badTicket("it holds too many addresses");
  for (let index = 0; index < count; index += 1) {
    if (reader.byte() === RELAY) relayUrls.push(reader.relayUrl());
    else addresses.push(reader.socketAddress());
  }
  reader.end();
  return { endpointId, relayUrls, addresses };
}

/**
 * Writes the ticket of an address, in the order iroh itself writes: relays, IPv4, IPv6, each ascending.
 * Throws NetworkError "invalid-config" for a DNS name, which a ticket cannot hold.
 */
export function encodeTicket(address: IrohAddress): string {
  const entries = [
    ...address.relayUrls.map((url) => relayEntry(url)),
    ...address.addresses.map((socket) => socketEntry(socket)),
  ].toSorted((a, b) => (a.order < b.order ? -1 : 1));
  const body = [VERSION, ...hex.decode(parseEndpointId(address.endpointId)), ...varint(entries.length)];
  return (
    PREFIX + base32nopad.encode(Uint8Array.from([...body, ...entries.flatMap(({ bytes }) => bytes)])).toLowerCase()
  );
}

interface Entry {
  readonly order: string;
  readonly bytes: readonly number[];
}

function relayEntry(url: string): Entry {
  const bytes = new TextEncoder().encode(url);
  return { order: `0${hex.encode(bytes)}`, bytes: [RELAY, ...varint(bytes.length), ...bytes] };
}

function socketEntry(text: string): Entry {
  const socket = parseSocketAddress(text);
  const ip = socket === undefined ? undefined : ipBytes(socket);
  if (socket === undefined || ip === undefined) {
    const message = `a ticket holds only IP addresses; give IP:PORT instead of "${printable(text)}"`;
    throw new NetworkError("invalid-config", { peer: "", message });
  }
  const family = ip.length === 4 ? 0 : 1;
  return {
    order: `1${family}${hex.encode(ip)}${socket.port.toString(16).padStart(4, "0")}`,
    bytes: [IP, family, ...ip, ...varint(socket.port)],
  };
}

/** LEB128, least significant seven bits first. */
function varint(value: number): readonly number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...varint(value >>> 7)];
}

function badTicket(what: string, cause?: unknown): NetworkError {
  const message = `not an Iroh endpoint ticket: ${what}; copy the ticket the other node prints`;
  return new NetworkError("invalid-config", { peer: "", message, cause });
}

class TicketReader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  bytes(length: number): Uint8Array {
    if (this.#at + length > this.#bytes.length) throw badTicket("it is cut short");
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }

  byte(): number {
    return this.bytes(1)[0] ?? 0;
  }

  varint(): number {
    let value = 0;
    for (let shift = 0; shift < 21; shift += 7) {
      const byte = this.byte();
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    throw badTicket("it holds a number out of range");
  }

  relayUrl(): string {
    const text = new TextDecoder().decode(this.bytes(this.varint()));
    const url = parseRelayUrl(text);
    if (url === undefined) throw badTicket("it holds a relay that is no http or https URL");
    return url;
  }

  socketAddress(): string {
    const family = this.byte();
    if (family > 1) throw badTicket("it holds an address of a kind this version does not know");
    const ip = this.bytes(family === 0 ? 4 : 16);
    const port = this.varint();
    if (port > 0xffff) throw badTicket("it holds a port out of range");
    return formatSocketAddress(fromIpBytes(ip, port));
  }

  end(): void {
    if (this.#at !== this.#bytes.length) throw badTicket("bytes follow its end");
  }
}

/** The normal form of a relay's URL (with its trailing slash); undefined unless http or https. */
export function parseRelayUrl(text: string): string | undefined {
  if (!URL.canParse(text)) return undefined;
  const url = new URL(text);
  return url.protocol === "http:" || url.protocol === "https:" ? url.href : undefined;
}
