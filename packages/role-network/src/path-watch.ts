import type { ConnectionInfo } from "@adit/network-helpers";
import type { CounterMetric, MetricsRegister, RoleContext } from "@adit/role-kit";
import { tell } from "./events.ts";

/**
 * Notices when a live Iroh connection goes another way than before: over a relay, or directly. Iroh's binding tells nobody
 * by itself, so whoever has this looks from time to time.
 */
export class PathWatch {
  readonly #log: RoleContext["log"];
  readonly #changes: CounterMetric<"from" | "to">;
  readonly #paths = new Map<number, string>();

  constructor(register: MetricsRegister, log: RoleContext["log"]) {
    this.#log = log;
    this.#changes = register.counter({
      name: "sv2_iroh_path_changes_total",
      help: "Changes of the way that live Iroh connections take: direct, relay",
      labels: ["from", "to"],
    });
  }

  /** Takes all live connections. */
  look(live: readonly ConnectionInfo[]): void {
    const numbers = new Set(live.map(({ id }) => id));
    for (const id of this.#paths.keys()) if (!numbers.has(id)) this.#paths.delete(id);
    for (const info of live) this.lookAt(info);
  }

  /** Takes one connection: to be called when it begins, as many leave the relay within seconds. */
  lookAt({ id, path, peer, rttMs }: ConnectionInfo): void {
    if (path === null || path === "unknown") return;
    const from = this.#paths.get(id);
    this.#paths.set(id, path);
    if (from === undefined || from === path) return;
    this.#changes.inc({ from, to: path });
    tell(this.#log, "iroh path changed", { connection: id, peer, from, to: path, rttMs });
  }
}
