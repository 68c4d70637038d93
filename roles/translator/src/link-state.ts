import type { ClientChannel } from "@adit/channels";
import type { SessionId } from "./effects.ts";
import type { ExtranonceLayout } from "./extranonce-layout.ts";
import type { UpstreamWork } from "./upstream-work.ts";

/** Where a link stands with its channel. */
export type LinkState =
  /** No channel; one may be asked for from `retryAt` on. */
  | { readonly phase: "closed"; readonly retryAt: number }
  /** Asked for. */
  | { readonly phase: "opening"; readonly requestId: number }
  /** Open. `work`: the job to mine, once there is one. */
  | {
      readonly phase: "open";
      readonly channel: ClientChannel;
      readonly layout: ExtranonceLayout;
      readonly work: UpstreamWork | undefined;
    };

/** A link as those see it who have its work. */
export interface MinedLink {
  /** The session that its channel is in. */
  readonly session: SessionId;
  readonly state: LinkState;
  /** The job to mine, once there is one. */
  readonly work: UpstreamWork | undefined;
  /** The channel, while it is open. */
  readonly channel: ClientChannel | undefined;
}
