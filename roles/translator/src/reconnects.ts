import { TokenBucket } from "@adit/channels";
import type { ReconnectTarget } from "@adit/role-network";
import type { Outbox } from "./outbox.ts";
import { routeFields } from "./route-table.ts";
import type { UpstreamSession } from "./upstream-session.ts";
import type { UpstreamSessions } from "./upstream-sessions.ts";

/** Requests to reconnect that are followed: more than these at once, and more often, is a fault. */
const RECONNECTS = { burst: 3, perSecond: 1 / 60 };

/** What becomes of upstreams' requests to be reached elsewhere (spec 3.6.5). */
export class Reconnects {
  readonly #sessions: UpstreamSessions;
  readonly #outbox: Outbox;
  readonly #followed: TokenBucket;

  constructor(sessions: UpstreamSessions, outbox: Outbox) {
    this.#sessions = sessions;
    this.#outbox = outbox;
    this.#followed = new TokenBucket(RECONNECTS, outbox.now);
  }

  /** The upstream of a session asks. `inUse`: the session is mined in. */
  asked(session: UpstreamSession, to: ReconnectTarget, inUse: boolean): void {
    const refusal = inUse ? this.#refusal(session) : "not-in-use";
    this.#outbox.count("reconnects", refusal ?? "followed");
    const fields = { ...routeFields(session.route), newHost: to.newHost, newPort: to.newPort };
    if (refusal !== undefined) return this.#outbox.log("debug", "reconnect-not-followed", { ...fields, refusal });
    this.#outbox.log("info", "upstream-asks-to-reconnect", fields);
    this.#sessions.succeed(session, to);
  }

  #refusal(session: UpstreamSession): string | undefined {
    if (this.#sessions.successorOf(session) !== undefined) return "under-way";
    return this.#followed.take(this.#outbox.now) ? undefined : "too-often";
  }
}
