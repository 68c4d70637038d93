import type { Namespace } from "./namespace.ts";

/** What a router does with the ports of the packets it sends out under its own address. */
export type Mapping = "keeps-ports" | "random-ports";

/** How a router is set up. */
export interface RouterOptions {
  /** `random-ports`: another one for each host that is talked to, so that nobody can say where to answer. */
  readonly mapping: Mapping;
  /** A UDP port that it hands on to a host inside, whoever sends to it. */
  readonly forward?: { readonly port: number; readonly to: string };
}

/**
 * A router that hides a private network: device `lan` inside, `wan` outside. It lets in what belongs to something that
 * went out, and nothing else, as routers at home do.
 */
export async function becomeRouter(namespace: Namespace, options: RouterOptions): Promise<void> {
  await namespace.forward();
  await namespace.nft(`
    table ip router {
      chain outwards {
        type nat hook postrouting priority srcnat
        ${outwards(options.mapping)}
      }
      chain inwards {
        type nat hook prerouting priority dstnat
        ${inwards(options.forward)}
      }
      chain through {
        type filter hook forward priority filter; policy drop
        ct state invalid drop
        ct state established,related accept
        ct status dnat accept
        iifname "lan" accept
      }
      chain itself {
        type filter hook input priority filter; policy drop
        ct state established,related accept
      }
    }`);
}

/** Changes what the router does with ports. Connections that it knows keep theirs. */
export async function remap(namespace: Namespace, mapping: Mapping): Promise<void> {
  await namespace.nft(`
    flush chain ip router outwards
    add rule ip router outwards ${outwards(mapping)}`);
}

/**
 * Gives the router another public address, or the same one anew. Either way it forgets every connection it had under the
 * old one; the hosts inside are told nothing.
 */
export async function readdress(namespace: Namespace, from: string, to: string): Promise<void> {
  await namespace.ip(`addr del ${from}/24 dev wan`, `addr add ${to}/24 dev wan`, "route add default dev wan");
}

function outwards(mapping: Mapping): string {
  return `oifname "wan" masquerade${mapping === "keeps-ports" ? "" : " fully-random"}`;
}

function inwards(forward: RouterOptions["forward"]): string {
  return forward === undefined ? "" : `iifname "wan" udp dport ${forward.port} dnat to ${forward.to}`;
}
