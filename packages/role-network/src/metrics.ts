import { type ConnectionInfo, type ListenEvent, NetworkError } from "@adit/network-helpers";
import type { MetricsRegister } from "@adit/role-kit";
import { HoldMeter } from "./hold-meter.ts";
import { MessageMeter } from "./message-meter.ts";
import { TrafficMeter } from "./traffic-meter.ts";

/** What {@link networkMetrics} counts of. */
type Live = readonly { readonly info: ConnectionInfo; readonly direction: "upstream" | "downstream" }[];

/** The network's counters. */
export interface NetworkMetrics {
  /** Counts what happened at a listener. */
  count(event: ListenEvent): void;
  /** Counts what is left to count of a dialled connection that has ended; to be called once for each. */
  ended(info: ConnectionInfo): void;
  /** Counts a dial: null when it ended in a connection that is set up. */
  dialled(transport: "tcp" | "iroh", error: unknown): void;
  /** Counts messages. */
  readonly messages: MessageMeter;
}

/** Registers the network's metrics; gauges are read from `live` at each scrape. */
export function networkMetrics(register: MetricsRegister, live: () => Live): NetworkMetrics {
  const events = register.counter({
    name: "sv2_listener_events_total",
    help: "What happened at the listeners: connections opened, closed, refused, handshakes failed, listeners up and failed",
    labels: ["transport", "event"],
  });
  const gauges = connectionGauges(register);
  const handshakes = register.counter({
    name: "sv2_handshakes_total",
    help: "Connections on their way to being set up, by what became of them: ok, or the error's code",
    labels: ["transport", "direction", "result"],
  });
  const holds = new HoldMeter(register);
  const traffic = new TrafficMeter(register);
  const messages = new MessageMeter(
    register.counter({
      name: "sv2_messages_total",
      help: "Stratum V2 messages received and sent, after the set-up of their connections",
      labels: ["protocol", "message", "direction"],
    }),
  );
  register.onCollect(() => {
    messages.collect();
    const now = live();
    gauges(now);
    const infos = now.map(({ info }) => info);
    holds.collect(infos);
    traffic.collect(infos);
  });
  const ended = (info: ConnectionInfo): void => {
    holds.ended(info);
    traffic.ended(info);
  };
  return {
    messages,
    ended,
    dialled: (transport, error) => handshakes.inc({ transport, direction: "upstream", result: resultOf(error) }),
    count: (event) => {
      const { transport } = event;
      events.inc({ transport, event: event.type });
      if (event.type === "connection-closed") ended(event.connection);
      const direction = "downstream";
      if (event.type === "connection-opened") handshakes.inc({ transport, direction, result: "ok" });
      if (event.type === "handshake-failed") handshakes.inc({ transport, direction, result: resultOf(event.error) });
    },
  };
}

/** The code of an error, from the small set of {@link NetworkError}'s. */
function resultOf(error: unknown): string {
  if (error === null) return "ok";
  return error instanceof NetworkError ? error.code : "other";
}

/** Registers the gauges of live connections; the result sets them. */
function connectionGauges(register: MetricsRegister): (live: Live) => void {
  const connections = register.gauge({
    name: "sv2_connections",
    help: "Live Stratum V2 connections",
    labels: ["transport", "direction"],
  });
  const relayed = register.gauge({
    name: "sv2_connections_relayed",
    help: "Live Iroh connections that go through a relay",
  });
  return (now) => {
    connections.reset();
    for (const direction of ["upstream", "downstream"] as const) {
      for (const transport of ["tcp", "iroh"] as const) {
        const matching = now.filter((item) => item.direction === direction && item.info.transport === transport);
        connections.set({ transport, direction }, matching.length);
      }
    }
    relayed.set({}, now.filter(({ info }) => info.path === "relay").length);
  };
}
