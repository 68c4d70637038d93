import type { ConnectionInfo } from "@adit/network-helpers";
import type { CounterMetric, GaugeMetric, MetricsRegister } from "@adit/role-kit";

const DIRECTIONS = ["in", "out"] as const;
const TRANSPORTS = ["tcp", "iroh"] as const;

type Counts = Readonly<Record<"bytes" | "frames", Readonly<Record<(typeof DIRECTIONS)[number], number>>>>;

const NOTHING: Counts = { bytes: { in: 0, out: 0 }, frames: { in: 0, out: 0 } };

/**
 * What connections carry, by transport: bytes, frames and the round trip. Connections count by themselves; what they have
 * counted since the last look is added at each scrape and when they end.
 */
export class TrafficMeter {
  readonly #bytes: CounterMetric<"transport" | "direction">;
  readonly #frames: CounterMetric<"transport" | "direction">;
  readonly #roundTrip: GaugeMetric<"transport" | "stat">;
  /** Counted so far, by the number of a live connection. */
  readonly #seen = new Map<number, Counts>();

  constructor(register: MetricsRegister) {
    const labels = ["transport", "direction"] as const;
    this.#bytes = register.counter({
      name: "sv2_bytes_total",
      help: "Bytes that Stratum V2 connections have carried, what the transport adds not counted",
      labels,
    });
    this.#frames = register.counter({
      name: "sv2_frames_total",
      help: "Frames that Stratum V2 connections have carried",
      labels,
    });
    this.#roundTrip = register.gauge({
      name: "sv2_round_trip_seconds",
      help: "Round trip of the live connections whose transport measures it: the mean, and the longest",
      labels: ["transport", "stat"],
    });
  }

  /** Takes all live connections. */
  collect(live: readonly ConnectionInfo[]): void {
    for (const info of live) this.#count(info);
    this.#roundTrip.reset();
    for (const transport of TRANSPORTS) {
      const trips = live.flatMap((info) =>
        info.transport === transport && info.rttMs !== null ? [info.rttMs / 1000] : [],
      );
      if (trips.length === 0) continue;
      const sum = trips.reduce((total, trip) => total + trip, 0);
      this.#roundTrip.set({ transport, stat: "mean" }, sum / trips.length);
      this.#roundTrip.set({ transport, stat: "max" }, Math.max(...trips));
    }
  }

  /** Takes a connection that has ended. To be called once for each. */
  ended(info: ConnectionInfo): void {
    this.#count(info);
    this.#seen.delete(info.id);
  }

  #count({ id, transport, bytesIn, bytesOut, framesIn, framesOut }: ConnectionInfo): void {
    const before = this.#seen.get(id) ?? NOTHING;
    const now: Counts = { bytes: { in: bytesIn, out: bytesOut }, frames: { in: framesIn, out: framesOut } };
    for (const direction of DIRECTIONS) {
      this.#bytes.inc({ transport, direction }, now.bytes[direction] - before.bytes[direction]);
      this.#frames.inc({ transport, direction }, now.frames[direction] - before.frames[direction]);
    }
    this.#seen.set(id, now);
  }
}
