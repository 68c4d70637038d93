import type { ReconnectTarget } from "@adit/role-network";
import type { SessionId } from "./effects.ts";
import type { Failure } from "./failure.ts";
import type { Outbox } from "./outbox.ts";
import type { ChannelHost } from "./session-channels.ts";
import type { UpstreamLink } from "./upstream-link.ts";
import type { UpstreamRoute } from "./upstream-plan.ts";
import type { UpstreamRules } from "./upstream-rules.ts";
import type { UpstreamWork } from "./upstream-work.ts";

/** Who a session tells what came of a message. */
export interface SessionHost extends ChannelHost {
  /** There is a job to mine. `tipChanged`: it is the first on its tip, so that all before it are dead. */
  worked(link: UpstreamLink, work: UpstreamWork, tipChanged: boolean): void;
  /** The session is of no use any more. */
  failed(session: SessionId, failure: Failure): void;
  /** The upstream asks to be reached elsewhere. */
  asked(session: SessionId, to: ReconnectTarget): void;
  /** The upstream credited work. */
  credited(session: SessionId): void;
}

/** What a session is made with. */
export interface SessionOptions {
  readonly id: SessionId;
  readonly route: UpstreamRoute;
  readonly rules: UpstreamRules;
  readonly outbox: Outbox;
  readonly host: SessionHost;
  readonly nextRequestId: () => number;
}
