import type { ConnectionInfo } from "@adit/network-helpers";
import { metricsRegister, openLog } from "@adit/role-kit";
import { expect, test } from "vitest";
import { PathWatch } from "./path-watch.ts";
import { TrafficMeter } from "./traffic-meter.ts";

function connection(id: number, changes: Partial<ConnectionInfo>): ConnectionInfo {
  return {
    id,
    streams: 1,
    holds: { now: 0, total: 0, longestMs: 0 },
    transport: "iroh",
    peer: "peer",
    endpointId: "peer",
    path: "direct",
    rttMs: null,
    since: 0,
    bytesIn: 0,
    bytesOut: 0,
    framesIn: 0,
    framesOut: 0,
    awaitingFrameSince: null,
    encryption: "noise",
    ...changes,
  };
}

/** The samples of the page whose names begin so. */
async function samples(register: ReturnType<typeof metricsRegister>, prefix: string): Promise<readonly string[]> {
  return (await register.expose()).body.split("\n").filter((line) => line.startsWith(prefix));
}

test("adds up what live connections carry, and what ended ones carried after the last look", async () => {
  const register = metricsRegister();
  const meter = new TrafficMeter(register);
  meter.collect([
    connection(1, { bytesIn: 100, bytesOut: 10, framesIn: 3, framesOut: 1, rttMs: 20 }),
    connection(2, { bytesIn: 50, framesIn: 1, rttMs: 40 }),
    connection(3, { transport: "tcp", bytesOut: 7, framesOut: 1 }),
  ]);
  meter.ended(connection(2, { bytesIn: 60, framesIn: 2 }));
  meter.collect([connection(1, { bytesIn: 100, bytesOut: 30, framesIn: 3, framesOut: 2, rttMs: 10 })]);
  expect(await samples(register, "sv2_bytes_total")).toEqual([
    'sv2_bytes_total{transport="iroh",direction="in"} 160',
    'sv2_bytes_total{transport="iroh",direction="out"} 30',
    'sv2_bytes_total{transport="tcp",direction="in"} 0',
    'sv2_bytes_total{transport="tcp",direction="out"} 7',
  ]);
  expect(await samples(register, "sv2_frames_total")).toContain('sv2_frames_total{transport="iroh",direction="in"} 5');
  expect(await samples(register, "sv2_round_trip")).toEqual([
    'sv2_round_trip_seconds{transport="iroh",stat="mean"} 0.01',
    'sv2_round_trip_seconds{transport="iroh",stat="max"} 0.01',
  ]);
});

test("tells when a live connection goes another way, and not of first ways, unknown ones and ended connections", async () => {
  const register = metricsRegister();
  const watch = new PathWatch(register, openLog({ role: "test", level: "error", file: undefined }));
  watch.look([connection(1, { path: "relay" }), connection(2, { path: "unknown" })]);
  watch.look([connection(1, { path: "unknown" }), connection(2, { path: "direct" })]);
  watch.look([connection(1, { path: "direct" })]);
  watch.look([connection(1, { path: "direct" }), connection(2, { path: "relay" })]);
  watch.look([connection(1, { path: "relay" })]);
  watch.lookAt(connection(3, { path: "relay" }));
  watch.look([connection(3, { path: "direct" })]);
  expect(await samples(register, "sv2_iroh_path_changes_total")).toEqual([
    'sv2_iroh_path_changes_total{from="relay",to="direct"} 2',
    'sv2_iroh_path_changes_total{from="direct",to="relay"} 1',
  ]);
});
