import type { ConnectionInfo } from "@adit/network-helpers";
import { metricsRegister } from "@adit/role-kit";
import { expect, test } from "vitest";
import { HoldMeter } from "./hold-meter.ts";

function connection(id: number, holds: ConnectionInfo["holds"], streams: 1 | 2 = 2): ConnectionInfo {
  return {
    id,
    streams,
    holds,
    transport: "iroh",
    peer: "peer",
    endpointId: "peer",
    path: "direct",
    rttMs: 1,
    since: 0,
    bytesIn: 0,
    bytesOut: 0,
    framesIn: 0,
    framesOut: 0,
    awaitingFrameSince: null,
    encryption: "noise",
  };
}

test("adds up what live connections held back, and what ended ones held back after the last look", async () => {
  const register = metricsRegister();
  const meter = new HoldMeter(register);
  const lines = async (): Promise<readonly string[]> =>
    (await register.expose()).body.split("\n").filter((line) => /^sv2_.*(two_streams|held|hold)/.test(line));
  const one = connection(3, { now: 0, total: 0, longestMs: 0 }, 1);
  meter.collect([
    connection(1, { now: 1, total: 4, longestMs: 20 }),
    connection(2, { now: 0, total: 2, longestMs: 30 }),
    one,
  ]);
  expect(await lines()).toEqual([
    "sv2_connections_two_streams 2",
    "sv2_frames_held 1",
    "sv2_frames_held_total 6",
    "sv2_longest_hold_seconds 0.03",
  ]);
  meter.ended(connection(2, { now: 0, total: 5, longestMs: 30 }));
  meter.ended(one);
  meter.collect([connection(1, { now: 0, total: 5, longestMs: 20 })]);
  expect(await lines()).toEqual([
    "sv2_connections_two_streams 1",
    "sv2_frames_held 0",
    "sv2_frames_held_total 10",
    "sv2_longest_hold_seconds 0.02",
  ]);
});
