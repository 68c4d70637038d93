import { defaultPeerOptions, PeerConnector, type PeerEvent } from "@adit/network-helpers/peers";
import { metricsRegister, parseConfig } from "@adit/role-kit";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { peerMetrics } from "./peer-metrics.ts";
import { peerSettings, toPeerOptions } from "./peer-settings.ts";
import { peerLog, peersStatus } from "./peer-status.ts";

describe("the settings of connections to peers", () => {
  const role = z.strictObject({ peers: peerSettings.prefault({}) });

  test("have the defaults of the connector", () => {
    expect(toPeerOptions(role.parse({}).peers)).toEqual(defaultPeerOptions);
  });

  test("reach the connector by their keys in a config file", () => {
    const text = `[peers]
max_connections = 7
breaker_failures = 2
breaker_open_secs = 1.5
message_ttl_secs = 60
message_attempts = 9
max_buffered_bytes = 4096
health_check_secs = 5
idle_secs = 90
`;
    const { peers } = parseConfig({ config: role, envPrefix: "ROLE" }, { text, file: "role.toml", env: {} });
    expect(toPeerOptions(peers)).toEqual({
      ...defaultPeerOptions,
      maxConnections: 7,
      breakerFailures: 2,
      breakerOpenMs: 1500,
      messageTtlMs: 60_000,
      messageAttempts: 9,
      maxBufferedBytes: 4096,
      healthCheckMs: 5000,
      idleMs: 90_000,
    });
  });
});

/** A connector that has met a peer that is up and one that is down. */
async function used() {
  const events: PeerEvent[] = [];
  const connector = new PeerConnector<AsyncDisposable, string>({
    dial: async (peer) => {
      if (peer === "down") throw new Error("down");
      return { [Symbol.asyncDispose]: async () => {} };
    },
    messages: { deliver: async () => {}, sizeOf: (message) => message.length },
    options: { breakerFailures: 1, maxBufferedBytes: 100 },
    onEvent: (event) => void events.push(event),
  });
  await connector.send("up", "hello");
  const waiting = connector.send("down", "hello");
  await connector.use("down", async () => {}, { signal: new AbortController().signal }).catch(() => undefined);
  await connector.send("down", "x".repeat(101));
  return { connector, events, waiting };
}

test("the status document shows peers and totals", async () => {
  const { connector } = await used();
  expect(JSON.parse(JSON.stringify(peersStatus(connector.stats())))).toEqual({
    connections: { dialling: 0, open: 1, closing: 0 },
    peers: [
      { peer: "up", connection: "open", breaker: "closed", failures: 0, messages: 0, buffered_bytes: 0, leases: 0 },
      { peer: "down", connection: "none", breaker: "open", failures: 1, messages: 1, buffered_bytes: 64, leases: 0 },
    ],
    totals: {
      dials: 2,
      dial_failures: 1,
      delivered: 1,
      expired: 0,
      refused: 1,
      dropped: 0,
      leases_granted: 0,
      leases_refused: 1,
      breakers_opened: 1,
      closed: { idle: 0, evicted: 0, unhealthy: 0, failed: 0, ended: 0, stopped: 0 },
    },
  });
  await connector[Symbol.asyncDispose]();
});

test("the metrics show the same, and count nothing twice", async () => {
  const { connector, waiting } = await used();
  const register = metricsRegister();
  peerMetrics(register, () => connector.stats());
  await register.expose();
  const { body } = await register.expose();
  const lines = body.split("\n");
  for (const line of [
    'sv2_peer_connections{state="open"} 1',
    'sv2_peer_breakers{state="open"} 1',
    'sv2_peer_breakers{state="half-open"} 0',
    "sv2_peer_buffered_messages 1",
    "sv2_peer_buffered_bytes 64",
    'sv2_peer_messages_total{outcome="delivered"} 1',
    'sv2_peer_messages_total{outcome="refused"} 1',
    'sv2_peer_leases_total{outcome="refused"} 1',
    "sv2_peer_dials_total 2",
    "sv2_peer_dial_failures_total 1",
    "sv2_peer_breakers_opened_total 1",
    'sv2_peer_closed_total{reason="stopped"} 0',
  ]) {
    expect(lines).toContain(line);
  }
  await connector[Symbol.asyncDispose]();
  expect(await waiting).toEqual({ kind: "refused", reason: "stopped" });
  expect((await register.expose()).body).toContain('sv2_peer_closed_total{reason="stopped"} 1');
});

test("breaker changes are log lines with stable names", async () => {
  const { connector, events } = await used();
  const lines: unknown[] = [];
  const write =
    (level: string) =>
    (fields: object, text: string): void =>
      void lines.push({ level, text, ...fields });
  const log = { debug: write("debug"), info: write("info"), warn: write("warn") };
  for (const event of events) peerLog(log)(event);
  expect(lines).toContainEqual({
    level: "warn",
    text: "breaker opened",
    event: "breaker-opened",
    peer: "down",
    failures: 1,
    openMs: 30_000,
  });
  expect(lines).toContainEqual({ level: "debug", text: "peer connected", event: "peer-connected", peer: "up" });
  await connector[Symbol.asyncDispose]();
});
