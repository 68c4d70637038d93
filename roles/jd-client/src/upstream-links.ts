import type { SessionId, SessionInput, UpstreamEffect } from "./core/effects.ts";
import type { UpstreamRoute } from "./core/upstream-plan.ts";
import { UpstreamLink, type UpstreamLinkOptions } from "./upstream-link.ts";
import type { UpstreamEntry } from "./upstream-settings.ts";

/** What the core asks of its sessions' connections. */
export type SessionEffect = Extract<UpstreamEffect, { readonly session: SessionId }>;

/** What {@link UpstreamLinks} work with. */
export interface UpstreamLinksOptions extends Pick<UpstreamLinkOptions, "declaresTransactions" | "network"> {
  /** What the config says of the upstream that a route leads to. */
  readonly entryOf: (route: UpstreamRoute) => UpstreamEntry;
  /** Tells the core what happened; must not throw. */
  readonly say: (input: SessionInput) => void;
  /** Once it is aborted nothing is dialled. */
  readonly signal: AbortSignal;
}

/** The connections of all sessions with upstreams. */
export class UpstreamLinks implements AsyncDisposable {
  readonly #options: UpstreamLinksOptions;
  readonly #links = new Map<SessionId, UpstreamLink>();
  readonly #running = new Set<Promise<void>>();

  constructor(options: UpstreamLinksOptions) {
    this.#options = options;
  }

  /** Does what the core asks. */
  perform(effect: SessionEffect): void {
    const link = this.#links.get(effect.session);
    switch (effect.type) {
      case "begin-session":
        return this.#begin(effect);
      case "end-session":
        return link?.end();
      case "send-pool":
        return link?.toPool(effect.message, effect.worker);
      case "send-jds":
        return link?.toJds(effect.message);
      default:
        return effect satisfies never;
    }
  }

  /** Sends what was sent before over each, and ends them. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const link of this.#links.values()) link.end();
    await Promise.all(this.#running);
  }

  #begin({ session, route, moves }: Extract<SessionEffect, { readonly type: "begin-session" }>): void {
    const { entryOf, signal, ...options } = this.#options;
    if (signal.aborted) return;
    const link = new UpstreamLink({ ...options, session, entry: entryOf(route), way: route, moves });
    this.#links.set(session, link);
    const running = link.run().finally(() => {
      this.#links.delete(session);
      this.#running.delete(running);
    });
    this.#running.add(running);
  }
}
