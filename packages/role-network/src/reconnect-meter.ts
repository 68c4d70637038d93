import type { Protocol } from "@adit/codec";
import type { CounterMetric, MetricsRegister, UpstreamSettings } from "@adit/role-kit";

/** Upstreams of which ended connections are remembered; more than that are places where pools have sent their miners. */
const MAX_UPSTREAMS = 1000;

/** Counts connections to upstreams that take the place of one that has ended, over whichever transport that was. */
export class ReconnectMeter {
  readonly #reconnects: CounterMetric<"transport">;
  /** Connections that have ended and were not replaced, by upstream. */
  readonly #ended = new Map<string, number>();

  constructor(register: MetricsRegister) {
    this.#reconnects = register.counter({
      name: "sv2_reconnects_total",
      help: "Connections to an upstream that were set up after another one to it had ended, by their transport",
      labels: ["transport"],
    });
  }

  /** A connection to `upstream` is set up. To be called with what {@link upstreamKey} gives. */
  connected(upstream: string, transport: "tcp" | "iroh"): void {
    const ended = this.#ended.get(upstream) ?? 0;
    if (ended === 0) return;
    if (ended === 1) this.#ended.delete(upstream);
    else this.#ended.set(upstream, ended - 1);
    this.#reconnects.inc({ transport });
  }

  /** A connection to `upstream` that was set up has ended. */
  ended(upstream: string): void {
    const [oldest] = this.#ended.keys();
    if (!this.#ended.has(upstream) && this.#ended.size >= MAX_UPSTREAMS && oldest !== undefined)
      this.#ended.delete(oldest);
    this.#ended.set(upstream, (this.#ended.get(upstream) ?? 0) + 1);
  }
}

/** Stands for an upstream, whichever of its transports is dialled. */
export function upstreamKey(protocol: Protocol, upstream: UpstreamSettings): string {
  const { address, port, endpointId, ticket } = upstream;
  return JSON.stringify([protocol, address, port, endpointId, ticket]);
}
