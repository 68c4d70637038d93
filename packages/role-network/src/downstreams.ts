import { dialect, type Protocol } from "@adit/codec";
import { within } from "@adit/network-helpers";
import type { RoleContext } from "@adit/role-kit";
import type { ReconnectTarget } from "./reconnect.ts";

/** Clients that were asked to connect elsewhere have this long: a dial, a handshake and the first answer there. */
const LEAVE_MS = 5_000;
/** What clients have asked for is waited for this long. */
const SETTLE_MS = 2_000;
/** What a client has sent has come when nothing has for this long. */
const QUIET_MS = 200;
const LOOK_MS = 20;

/** The connected clients of a server, as it takes its leave of them when it stops (spec 3.6.5). */
export class Downstreams<P extends Protocol> {
  readonly #protocol: P;
  readonly #log: RoleContext["log"];
  /** How each is sent a frame. */
  readonly #tells = new Set<(frame: Uint8Array) => void>();
  #heardAt = 0;
  #onEmpty: (() => void) | undefined;

  constructor(protocol: P, log: RoleContext["log"]) {
    this.#protocol = protocol;
    this.#log = log;
  }

  /** A client is there. `tell` sends it a frame, ahead of what waits, and never throws. To be called when it has gone: the result. */
  enter(tell: (frame: Uint8Array) => void): () => void {
    this.#tells.add(tell);
    return () => {
      if (this.#tells.delete(tell) && this.#tells.size === 0) this.#onEmpty?.();
    };
  }

  /** A client has said something. */
  heard(): void {
    this.#heardAt = performance.now();
  }

  /** Asks the clients to connect elsewhere, and resolves when they have gone or their time is up. They are served meanwhile. */
  async sendAway(to: ReconnectTarget): Promise<void> {
    const frame = dialect(this.#protocol).encode({ name: "Reconnect", ...to });
    for (const tell of this.#tells) tell(frame);
    this.#log.info(this.#count(), "clients asked to connect elsewhere");
    const gone = new Promise<void>((resolve) => {
      this.#onEmpty = resolve;
      if (this.#tells.size === 0) resolve();
    });
    await within(LEAVE_MS, gone);
    this.#log.info(this.#count(), "clients left, but for these");
  }

  /**
   * Sends the clients away, if there is an elsewhere. Then resolves when all that those who are left have asked for is
   * answered, or their time is up.
   *
   * @param isBusy whether something that was asked for is under way
   */
  async takeLeave(to: ReconnectTarget | undefined, isBusy: () => boolean): Promise<void> {
    if (to !== undefined) await this.sendAway(to);
    this.heard();
    const latest = performance.now() + SETTLE_MS;
    const isSettled = (): boolean => !isBusy() && performance.now() - this.#heardAt >= QUIET_MS;
    while (this.#tells.size > 0 && !isSettled() && performance.now() < latest) {
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
    if (isBusy()) this.#log.warn(this.#count(), "stopping with questions of clients not answered");
  }

  #count(): { readonly protocol: P; readonly connections: number } {
    return { protocol: this.#protocol, connections: this.#tells.size };
  }
}
