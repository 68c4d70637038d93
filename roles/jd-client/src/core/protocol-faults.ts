import { TokenBucket } from "@adit/token-bucket";
import type { SessionId } from "./effects.ts";
import type { Outbox } from "./outbox.ts";
import { failed, type SessionNews } from "./session-types.ts";

/** Broken rules an upstream may have at once, and how many are forgiven a second. */
const FAULTS = { burst: 16, perSecond: 1 / 60 };

/** Counts the rules of the protocol that the upstream of a session breaks: a few are borne. */
export class ProtocolFaults {
  readonly #session: SessionId;
  readonly #outbox: Outbox;
  readonly #borne: TokenBucket;

  constructor(session: SessionId, outbox: Outbox) {
    this.#session = session;
    this.#outbox = outbox;
    this.#borne = new TokenBucket(FAULTS, outbox.now);
  }

  /** One was broken. Says so if it was one too many. */
  add(code: string, detail: string): SessionNews | undefined {
    this.#outbox.count("upstreamFaults", code);
    this.#outbox.log("debug", "upstream-broke-the-protocol", { session: this.#session, code, detail });
    return this.#borne.take(this.#outbox.now) ? undefined : failed("protocol-fault", `${code}: ${detail}`);
  }
}
