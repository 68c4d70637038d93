import { describe, expect, test } from "vitest";
import { formatSeconds, renderStatus, type StatusAnswer } from "./status-view.ts";
import { renderTop } from "./top-view.ts";

const connection = {
  id: 7,
  direction: "downstream",
  transport: "tcp",
  encryption: "noise",
  peer: "192.0.2.1:4444",
  path: null,
  rtt_ms: null,
};

function answer(document: Record<string, unknown>, more: Partial<StatusAnswer> = {}): StatusAnswer {
  const readiness = { role: "pool", version: "0.1.0", uptime_secs: 90, ready: true, reason: null };
  return { ...readiness, endpoint_id: null, ticket: null, cut: {}, document, ...more };
}

const full = answer({
  hashrate: 1.5e12,
  shares_accepted: 10,
  shares_rejected: 2,
  upstream: { state: "connected", transport: "iroh", path: "relay" },
  channels_open: 3,
  miners: [{}, {}],
  blocks_found: 1,
  listeners: [{ transport: "tcp", address: "0.0.0.0:1", state: "listening", error: null }],
  connections: [
    connection,
    { ...connection, id: 9, transport: null },
    { ...connection, id: 8, direction: "upstream", transport: "iroh", path: "relay", rtt_ms: 12 },
  ],
});

describe("a status on paper", () => {
  test("has what the document has", () => {
    expect(renderStatus(full)).toEqual([
      "pool 0.1.0  up 90 s  ready",
      "  hashrate   1.5 TH/s",
      "  shares     10 accepted, 2 rejected",
      "  upstream   connected, iroh relay",
      "  channels   3",
      "  miners     2",
      "  blocks     1",
      "  listening  tcp  0.0.0.0:1  listening",
      "       8  to   192.0.2.1:…  iroh relay noise 12 ms",
      "       7  from 192.0.2.1:4444  tcp noise",
    ]);
    expect(renderStatus({ ...full, ticket: "endpointaaaa" }).at(-1)).toBe("  ticket     endpointaaaa");
  });

  test("names a connection by what it is broken off by, where its own number is another", () => {
    const own = answer({ connections: [{ ...connection, id: 1, connection_id: 40 }] });
    expect(renderStatus(own).at(-1)).toBe("      40  from 192.0.2.1:4444  tcp noise");
  });

  test("marks where a former key is answered", () => {
    const listeners = ["current", "former"].map((identity) => ({ transport: "iroh", state: "listening", identity }));
    expect(renderStatus(answer({ listeners })).slice(-2)).toEqual([
      "  listening  iroh  listening",
      "  listening  iroh  listening  former",
    ]);
  });

  test("names miners over Stratum V1 and operators by what they are broken off by", () => {
    const document = {
      miners: [
        { id: 12, peer: "10.0.0.7:4000", user_name: "farm.s19" },
        { id: 13, peer: "10.0.0.8:4000" },
      ],
      rpc_connections: [{ id: 15, peer: "ab".repeat(32), path: "direct" }],
    };
    expect(renderStatus(answer(document)).slice(-3)).toEqual([
      "      12  from 10.0.0.7:4000  sv1 farm.s19",
      "      13  from 10.0.0.8:4000  sv1 ?",
      "      15  from ababababab…  rpc direct",
    ]);
  });

  test("leaves out what the document lacks, and says what is not shown", () => {
    expect(renderStatus(answer({}, { ready: false, reason: "no work", cut: { connections: 900 } }))).toEqual([
      "pool 0.1.0  up 90 s  not ready: no work",
      "  900 connections, not all of them shown",
    ]);
  });

  test("is fit for a terminal, whatever a role says of itself", () => {
    const evil = "\u001b[2J\u0007\n\u202e";
    const document = {
      hashrate: evil,
      shares_accepted: { toString: 1 },
      upstream: { state: evil, transport: evil, path: [evil] },
      listeners: [{ transport: evil, address: evil }, evil, null],
      connections: [{ ...connection, peer: evil, encryption: evil, path: evil, rtt_ms: evil }, 5, null],
      channels_open: evil,
    };
    const lines = renderStatus(
      answer(document, { role: evil, version: evil, ready: false, reason: evil, cut: { [evil]: 5 } }),
    );
    expect(lines.join("")).not.toMatch(/[\p{Cc}\p{Cf}]/u);
  });
});

describe("the live view", () => {
  const entry = {
    name: "here",
    status: undefined,
    sharesPerMinute: undefined,
    trouble: null,
    breaker: "closed",
  } as const;

  test("shows each target, fits the terminal, and says what is not shown", () => {
    const connections = Array.from({ length: 12 }, (_, id) => ({ ...connection, id }));
    const many = answer({ connections }, { cut: { connections: 500 } });
    const lines = renderTop([{ ...entry, status: many, sharesPerMinute: 6.04 }, entry], 40);
    expect(lines).toContain("here  connecting");
    expect(lines).toContain("  rate       6.0 shares a minute");
    expect(lines).toContain("  and 492 more connections");
    expect(lines.every((line) => line.length <= 40)).toBe(true);
  });

  test("keeps the last answer of a target that is away, and says why it is", () => {
    const lines = renderTop(
      [
        { ...entry, status: full, trouble: "timed out" },
        { ...entry, trouble: "refused" },
      ],
      100,
    );
    expect(lines.slice(0, 2)).toEqual(["here  no answer, last: pool 0.1.0  up 90 s  ready", "  timed out"]);
    expect(lines.slice(-3)).toEqual(["here  no answer", "  refused", ""]);
  });

  test("says when a target is left alone, and when it is on trial", () => {
    const trouble = "refused";
    const lines = renderTop(
      [
        { ...entry, trouble, breaker: "open" },
        { ...entry, status: full, trouble, breaker: "half-open" },
      ],
      200,
    );
    expect(lines[0]).toBe("here  no answer, breaker open: left alone for a while");
    expect(lines[3]).toBe("here  no answer, breaker half-open: on trial, last: pool 0.1.0  up 90 s  ready");
  });
});

test("a time is said in the largest unit that is not coarse", () => {
  expect([0, 119, 120, 7199, 7200, 172_799, 172_800].map(formatSeconds)).toEqual([
    "0 s",
    "119 s",
    "2 min",
    "119 min",
    "2 h",
    "47 h",
    "2 d",
  ]);
});
