import { reconnectRules } from "@adit/network-helpers";
import type { ReconnectTarget } from "@adit/role-network";
import { TokenBucket } from "@adit/token-bucket";
import type { Outbox } from "./outbox.ts";
import { routeFields } from "./route-fields.ts";
import type { UpstreamSession } from "./upstream-session.ts";
import type { UpstreamSessions } from "./upstream-sessions.ts";

/** What becomes of upstreams' requests to be reached elsewhere (spec 3.6.5). */
export class Reconnects {
  readonly #sessions: UpstreamSessions;
  readonly #outbox: Outbox;
  readonly #followed: TokenBucket;

  constructor(sessions: UpstreamSessions, outbox: Outbox) {
    this.#sessions = sessions;
    this.#outbox = outbox;
    this.#followed = new TokenBucket(reconnectRules.followed, outbox.now);
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
