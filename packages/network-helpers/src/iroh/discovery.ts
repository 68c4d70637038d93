import { lookup } from "node:dns/promises";
import { orAbort } from "../or-abort.ts";
import type { DialAddress } from "./address.ts";
import type { LanFinding } from "./lan/lan-discovery.ts";
import type { IrohSettings } from "./settings.ts";
import { formatSocketAddress, parseSocketAddress, type SocketAddress } from "./socket-address.ts";
import { MAX_ADDRESSES } from "./ticket.ts";

/**
 * Where a peer's addresses come from: the config, its ticket, DNS for the host names among them, the local network, a
 * relay, and the DNS of n0, which knows endpoint ids alone.
 */
export type DiscoverySource = "configured" | "ticket" | "dns" | "lan" | "relay" | "n0-dns";

/** One source, and what came of asking it. */
export interface DiscoveryStep {
  readonly source: DiscoverySource;
  /** `asked`: iroh asks it while it connects, and does not tell what it answers. */
  readonly outcome: "found" | "nothing" | "failed" | "asked" | "not-used";
  /** UDP addresses `IP:PORT` or `[IPv6]:PORT`, or a relay's URL. */
  readonly addresses: readonly string[];
  /** How, or why not. */
  readonly detail: string;
}

/** Where a peer is dialled, and how that was found out. */
export interface Discovery {
  readonly endpointId: string;
  readonly addresses: readonly string[];
  readonly relayUrl: string | undefined;
  readonly steps: readonly DiscoveryStep[];
}

/** No source knew where the peer is. The steps are those that were tried. */
export class DiscoveryFailure extends Error {
  override readonly name = "DiscoveryFailure";
  readonly code = "nothing-found";
  readonly steps: readonly DiscoveryStep[];

  constructor(steps: readonly DiscoveryStep[], cause: unknown) {
    super(`tried: ${describeSteps(steps)}`, { cause });
    this.steps = steps;
  }
}

/** What discovery is done with. */
export interface DiscoveryMeans {
  readonly relay: IrohSettings["relay"];
  /** Asks the local network; a text says why it is not asked. */
  readonly lan: ((endpointId: string, options: { readonly signal: AbortSignal }) => Promise<LanFinding>) | string;
  readonly signal: AbortSignal;
}

/**
 * Asks every source at once and adds up what they know, the most certain first: iroh tries all addresses at once and
 * proves the endpoint id, so an old one in a config takes nothing away. Asked anew before each dial, as answers change.
 * Rejects with the signal's reason, and never for a source that fails.
 */
export async function discover(target: DialAddress, means: DiscoveryMeans): Promise<Discovery> {
  const configured = split(target.configured.addresses);
  const inTicket = split(target.ticket.addresses);
  const names = [...configured.names, ...inTicket.names];
  const asking = Promise.all([resolveNames(names), askLan(target.endpointId, means)]);
  const [dns, lan] = await orAbort(asking, means.signal, () => undefined);
  const relayUrls = [...target.configured.relayUrls, ...target.ticket.relayUrls];
  const steps = [
    ...given("configured", configured.ips, "in the config"),
    ...given("ticket", inTicket.ips, "in the ticket"),
    ...dns,
    lan,
    ...relayStep(relayUrls, means.relay),
    n0Step(means.relay),
  ];
  const found = steps.filter(({ source }) => source !== "relay").flatMap(({ addresses }) => addresses);
  return {
    endpointId: target.endpointId,
    addresses: [...new Set(found)].slice(0, MAX_ADDRESSES),
    relayUrl: means.relay === "disabled" ? undefined : relayUrls[0],
    steps,
  };
}

/** Whether anything but the local network is there to find a peer by. */
export function hasOtherSources({ ticket, configured }: DialAddress, relay: IrohSettings["relay"]): boolean {
  if (relay === "default" || ticket.addresses.length + configured.addresses.length > 0) return true;
  return relay !== "disabled" && ticket.relayUrls.length + configured.relayUrls.length > 0;
}

/** The steps in one line. */
export function describeSteps(steps: readonly DiscoveryStep[]): string {
  return steps.map(describeStep).join("; ");
}

function describeStep({ source, outcome, addresses, detail }: DiscoveryStep): string {
  const given = addresses.length === 0 ? "" : ` ${addresses.join(", ")}`;
  return `${source} ${outcome}${given} (${detail})`;
}

interface Split {
  readonly ips: readonly string[];
  readonly names: readonly SocketAddress[];
}

function split(addresses: readonly string[]): Split {
  const sockets = addresses.flatMap((text) => parseSocketAddress(text) ?? []);
  return {
    ips: sockets.filter(({ family }) => family !== "name").map(formatSocketAddress),
    names: sockets.filter(({ family }) => family === "name"),
  };
}

function given(source: DiscoverySource, addresses: readonly string[], detail: string): readonly DiscoveryStep[] {
  return addresses.length === 0 ? [] : [{ source, outcome: "found", addresses, detail }];
}

/** Iroh takes no names. */
async function resolveNames(names: readonly SocketAddress[]): Promise<readonly DiscoveryStep[]> {
  return await Promise.all(names.map(resolveName));
}

async function resolveName(name: SocketAddress): Promise<DiscoveryStep> {
  const asked = formatSocketAddress(name);
  try {
    const answers = await lookup(name.host, { all: true });
    const addresses = answers.map(({ address, family }) =>
      formatSocketAddress({ family: family === 6 ? "ipv6" : "ipv4", host: address, port: name.port }),
    );
    return { source: "dns", outcome: "found", addresses, detail: asked };
  } catch (error) {
    return { source: "dns", outcome: "failed", addresses: [], detail: `${asked}: ${reasonOf(error)}` };
  }
}

async function askLan(endpointId: string, { lan, signal }: DiscoveryMeans): Promise<DiscoveryStep> {
  if (typeof lan === "string") return { source: "lan", outcome: "not-used", addresses: [], detail: lan };
  try {
    const { addresses, detail } = await lan(endpointId, { signal });
    return { source: "lan", outcome: addresses.length === 0 ? "nothing" : "found", addresses, detail };
  } catch (error) {
    return { source: "lan", outcome: "failed", addresses: [], detail: reasonOf(error) };
  }
}

function relayStep(urls: readonly string[], relay: IrohSettings["relay"]): readonly DiscoveryStep[] {
  const [url] = urls;
  if (url === undefined) return [];
  const isUsed = relay !== "disabled";
  const detail = isUsed ? "as given" : "relays are disabled on this node";
  return [{ source: "relay", outcome: isUsed ? "found" : "not-used", addresses: [url], detail }];
}

function n0Step(relay: IrohSettings["relay"]): DiscoveryStep {
  if (relay === "default") {
    return { source: "n0-dns", outcome: "asked", addresses: [], detail: "by iroh while it connects" };
  }
  return { source: "n0-dns", outcome: "not-used", addresses: [], detail: 'asked only with relay = "default"' };
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { code } = error as NodeJS.ErrnoException;
  return code ?? error.message;
}
