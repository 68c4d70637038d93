import { NetworkError } from "@adit/network-helpers";
import { type IrohAddress, type IrohRelay, parseIrohAddress } from "@adit/network-helpers/iroh";

/** Where a role is called: over HTTP, or over Iroh. */
export type Target =
  | { readonly kind: "http"; readonly name: string; readonly url: URL }
  | { readonly kind: "iroh"; readonly name: string; readonly address: IrohAddress; readonly text: string };

/** A target as a view or a log names it; no other one beside it has the name. */
export interface NamedTarget {
  readonly name: string;
  /** As it was given. */
  readonly text: string;
  readonly target: Target;
}

/** Which relays reach a role. */
export type Relays = "default" | "disabled" | readonly IrohRelay[];

/** Reads a target. Throws NetworkError "invalid-config". */
export function parseTarget(text: string): Target {
  if (/^https?:\/\//i.test(text)) {
    if (!URL.canParse(text)) throw badTarget(`${text} is no URL`);
    const url = new URL(text);
    return { kind: "http", name: url.host, url };
  }
  try {
    const address = parseIrohAddress(text);
    return { kind: "iroh", name: `${address.endpointId.slice(0, 10)}…`, address, text };
  } catch (cause) {
    throw badTarget(cause instanceof Error ? cause.message : String(cause), cause);
  }
}

/** Targets of a command line under their short names; of two that would have the same, the second gets a number. */
export function nameTargets(texts: readonly string[]): readonly NamedTarget[] {
  const taken = new Map<string, number>();
  return texts.map((text) => {
    const target = parseTarget(text);
    const count = (taken.get(target.name) ?? 0) + 1;
    taken.set(target.name, count);
    return { name: count === 1 ? target.name : `${target.name} (${count})`, text, target };
  });
}

/** The relays that reach every target: n0's when one is known by its id alone, else those that the targets name. */
export function relaysFor(targets: readonly Target[]): Relays {
  const addresses = targets.flatMap((target) => (target.kind === "iroh" ? [target.address] : []));
  if (addresses.some((address) => address.relayUrls.length === 0 && address.addresses.length === 0)) return "default";
  const urls = new Set(addresses.flatMap(({ relayUrls }) => relayUrls));
  return urls.size === 0 ? "disabled" : [...urls].map((url) => ({ url }));
}

function badTarget(why: string, cause?: unknown): NetworkError {
  const message = `${why}; a target is an endpoint id, a ticket, or the http:// address of a role's monitoring`;
  return new NetworkError("invalid-config", { peer: "", message, cause });
}
