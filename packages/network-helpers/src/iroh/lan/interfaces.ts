import type { NetworkInterfaceInfo } from "node:os";
import { formatSocketAddress, parseSocketAddress } from "../socket-address.ts";

/** What `os.networkInterfaces()` returns. */
export type Interfaces = Readonly<Record<string, readonly NetworkInterfaceInfo[] | undefined>>;

/** Most interfaces that discovery works on. */
const MAX_INTERFACES = 16;

/** The IPv4 addresses to speak mDNS from, one an interface: those `asked` for as far as they exist, else all but loopback. */
export function lanInterfaces(interfaces: Interfaces, asked: readonly string[]): readonly string[] {
  const addresses = Object.values(interfaces).flatMap((list = []) => {
    const ipv4 = list.filter(({ family }) => family === "IPv4");
    return asked.length > 0 ? ipv4.filter(({ address }) => asked.includes(address)) : ipv4.slice(0, 1);
  });
  const wanted = addresses.filter(({ internal }) => asked.length > 0 || !internal);
  return wanted.map(({ address }) => address).slice(0, MAX_INTERFACES);
}

/**
 * Where neighbours reach a node that is bound to `bound`: every address of this host in place of a wildcard. Link-local
 * IPv6 addresses are left out, since they are of no use without the neighbour's interface.
 */
export function lanAddresses(interfaces: Interfaces, bound: readonly string[]): readonly string[] {
  const all = Object.values(interfaces).flatMap((list = []) => list);
  const own = all.filter(({ internal, address }) => !internal && !address.startsWith("fe80"));
  const sockets = bound.flatMap((text) => parseSocketAddress(text) ?? []);
  const reached = sockets.flatMap((socket) => {
    if (socket.host !== "0.0.0.0" && socket.host !== "::") return [socket];
    const family = socket.family === "ipv4" ? "IPv4" : "IPv6";
    return own.filter((one) => one.family === family).map(({ address }) => ({ ...socket, host: address }));
  });
  return [...new Set(reached.map(formatSocketAddress))];
}
