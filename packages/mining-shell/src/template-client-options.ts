import type { CoinbaseOutputConstraints } from "@adit/codec";
import type { Sv2Connection, UpstreamPolicy } from "@adit/network-helpers";
import type { RoleContext, UpstreamSettings } from "@adit/role-kit";
import type { Network, UpstreamState } from "@adit/role-network";
import type { TemplateEvent } from "./template-reader.ts";

/** What a `TemplateClient` works with. */
export interface TemplateClientOptions {
  readonly network: Network;
  /** The template providers, the preferred one first. */
  readonly providers: readonly UpstreamSettings[];
  readonly policy: UpstreamPolicy;
  readonly constraints: CoinbaseOutputConstraints;
  /** Called for each event, one at a time; must not throw for what a peer sent. */
  readonly onEvent: (event: TemplateEvent) => void;
  /** Called whenever what `TemplateClient.status` says of the connection changed. */
  readonly onChange: () => void;
  readonly log: RoleContext["log"];
  readonly metrics: RoleContext["metrics"];
  /** Unix milliseconds. */
  readonly now: () => number;
}

/** The connection to the template provider as the status document shows it. */
export interface TemplateClientStatus {
  readonly upstream: UpstreamState;
  /** Why the last connection ended or could not be made; null once there is one. */
  readonly away: string | null;
  /** What the connection runs over; null while there is none. */
  readonly connection: Sv2Connection<"template_distribution"> | null;
  readonly templates: number;
  /** Unix milliseconds of the newest template and of the newest prevhash; null before the first. */
  readonly lastTemplateAt: number | null;
  readonly lastPrevHashAt: number | null;
}
