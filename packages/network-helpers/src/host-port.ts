import { NetworkError } from "./errors.ts";

/** A host (name or address, without brackets) and a port. */
export interface HostPort {
  /** A name, an IPv4 address, or an IPv6 address without brackets. */
  readonly host: string;
  /** 0 to 65535. */
  readonly port: number;
}

/** Reads `host:port` or `[v6]:port`; `invalid-config` when it is neither. */
export function parseHostPort(address: string): HostPort {
  const match = /^(?:\[([^\s[\]]*:[^\s[\]]*)\]|([^\s:[\]/?#@]+)):(\d{1,5})$/.exec(address);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  if (host === undefined || port > 65_535) {
    const message = `${JSON.stringify(address)} is not HOST:PORT; write it like pool.example:3333 or [2001:db8::1]:3333`;
    throw new NetworkError("invalid-config", { peer: address, message });
  }
  return { host, port };
}

/** The opposite: brackets around an IPv6 host, and an IPv4 address mapped into IPv6 written as IPv4. */
export function formatHostPort({ host, port }: HostPort): string {
  const plain = host.replace(/^::ffff:(?=\d+\.\d+\.\d+\.\d+$)/i, "");
  return plain.includes(":") ? `[${plain}]:${port}` : `${plain}:${port}`;
}
