/** Where UDP packets go: a host (IPv4, IPv6 without brackets, or a DNS name) and a port. */
export interface SocketAddress {
  readonly family: "ipv4" | "ipv6" | "name";
  readonly host: string;
  readonly port: number;
}

const IPV4_PART = "(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)";
const IPV4 = new RegExp(`^(?:${IPV4_PART}\\.){3}${IPV4_PART}$`);
const NAME = /^(?=.{1,253}$)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.?$/i;

/** Reads `host:port`, `1.2.3.4:port` or `[::1]:port`; undefined when the text is none of them. Port 0 is allowed. */
export function parseSocketAddress(text: string): SocketAddress | undefined {
  const parts = /^(?:\[(?<ipv6>[0-9a-f:.]+)\]|(?<host>[^[\]:]+)):(?<port>\d{1,5})$/i.exec(text)?.groups;
  const port = Number(parts?.["port"]);
  if (parts === undefined || port > 0xffff) return undefined;
  const ipv6 = parts["ipv6"];
  if (ipv6 !== undefined) {
    const host = canonicalIpv6(ipv6);
    return host === undefined ? undefined : { family: "ipv6", host, port };
  }
  const host = parts["host"] ?? "";
  if (IPV4.test(host)) return { family: "ipv4", host, port };
  // A last label of digits would be read as a short IPv4 form by some resolvers.
  if (!NAME.test(host) || /(?:^|\.)\d+\.?$/.test(host)) return undefined;
  return { family: "name", host: host.toLowerCase(), port };
}

/** Writes the form `parseSocketAddress` reads. */
export function formatSocketAddress({ family, host, port }: SocketAddress): string {
  return family === "ipv6" ? `[${host}]:${port}` : `${host}:${port}`;
}

/** The 4 or 16 bytes of an IP address, network order; undefined for a name. */
export function ipBytes({ family, host }: SocketAddress): Uint8Array | undefined {
  if (family === "name") return undefined;
  if (family === "ipv4") return Uint8Array.from(host.split("."), Number);
  const [head = "", tail = ""] = host.split("::");
  const groups = (text: string): number[] =>
    text === "" ? [] : text.split(":").map((group) => Number.parseInt(group, 16));
  const zeros = Array.from({ length: 8 - groups(head).length - groups(tail).length }, () => 0);
  return Uint8Array.from([...groups(head), ...zeros, ...groups(tail)].flatMap((group) => [group >> 8, group & 0xff]));
}

/** The socket address of 4 or 16 address bytes in network order. */
export function fromIpBytes(bytes: Uint8Array, port: number): SocketAddress {
  if (bytes.length === 4) return { family: "ipv4", host: bytes.join("."), port };
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const groups = Array.from({ length: 8 }, (_, index) => view.getUint16(2 * index).toString(16));
  return { family: "ipv6", host: canonicalIpv6(groups.join(":")) ?? groups.join(":"), port };
}

/** The URL parser knows every spelling of an IPv6 address and prints the shortest. */
function canonicalIpv6(text: string): string | undefined {
  const url = `http://[${text}]/`;
  return URL.canParse(url) ? new URL(url).hostname.slice(1, -1) : undefined;
}
