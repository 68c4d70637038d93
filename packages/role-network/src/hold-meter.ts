import type { ConnectionInfo } from "@adit/network-helpers";
import type { CounterMetric, GaugeMetric, MetricsRegister } from "@adit/role-kit";

/**
 * Counts frames that one of a connection's two streams had to hold back for the other. Connections count by themselves; what
 * they have counted since the last look is added at each scrape and when they end.
 */
export class HoldMeter {
  readonly #connections: GaugeMetric;
  readonly #total: CounterMetric;
  readonly #now: GaugeMetric;
  readonly #longest: GaugeMetric;
  /** Counted so far, by the number of a live connection. */
  readonly #seen = new Map<number, number>();

  constructor(register: MetricsRegister) {
    this.#connections = register.gauge({
      name: "sv2_connections_two_streams",
      help: "Live connections with two streams",
    });
    this.#now = register.gauge({
      name: "sv2_frames_held",
      help: "Frames of live connections with two streams that wait for frames of the other stream",
    });
    this.#total = register.counter({
      name: "sv2_frames_held_total",
      help: "Frames of connections with two streams that had to wait for frames of the other stream",
    });
    this.#longest = register.gauge({
      name: "sv2_longest_hold_seconds",
      help: "The longest that a frame of a live connection with two streams had to wait",
    });
  }

  /** Takes all live connections. */
  collect(live: readonly ConnectionInfo[]): void {
    const dual = live.filter(({ streams }) => streams === 2);
    for (const info of dual) this.#count(info);
    this.#connections.set({}, dual.length);
    this.#now.set(
      {},
      dual.reduce((sum, { holds }) => sum + holds.now, 0),
    );
    this.#longest.set({}, Math.max(0, ...dual.map(({ holds }) => holds.longestMs)) / 1000);
  }

  /** Takes a connection that has ended. To be called once for each. */
  ended(info: ConnectionInfo): void {
    if (info.streams === 1) return;
    this.#count(info);
    this.#seen.delete(info.id);
  }

  #count({ id, holds }: ConnectionInfo): void {
    this.#total.inc({}, holds.total - (this.#seen.get(id) ?? 0));
    this.#seen.set(id, holds.total);
  }
}
