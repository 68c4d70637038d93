import type { RoleContext } from "./run-role.ts";

const LOOK_MS = 200;

/** Tells the process when there is work to give and when there is none any more. */
export class Readiness implements Disposable {
  readonly #context: Pick<RoleContext, "ready" | "notReady">;
  readonly #ask: { readonly trouble: () => string | null; readonly details: () => Record<string, unknown> };
  readonly #looking: NodeJS.Timeout;
  #trouble: string | null | undefined;

  /** `trouble` says why there is none, `details` go to whoever waits for the role, each time it becomes ready. */
  constructor(
    context: Pick<RoleContext, "ready" | "notReady">,
    ask: { readonly trouble: () => string | null; readonly details: () => Record<string, unknown> },
  ) {
    this.#context = context;
    this.#ask = ask;
    this.#looking = setInterval(() => this.#look(), LOOK_MS);
    this.#look();
  }

  [Symbol.dispose](): void {
    clearInterval(this.#looking);
  }

  #look(): void {
    const trouble = this.#ask.trouble();
    if (trouble === this.#trouble) return;
    this.#trouble = trouble;
    if (trouble === null) this.#context.ready(this.#ask.details());
    else this.#context.notReady(trouble);
  }
}
