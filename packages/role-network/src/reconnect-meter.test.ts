import { metricsRegister } from "@adit/role-kit";
import { expect, test } from "vitest";
import { ReconnectMeter } from "./reconnect-meter.ts";

test("a connection counts as a reconnect when one to the same upstream has ended, once for each that has", async () => {
  const register = metricsRegister();
  const meter = new ReconnectMeter(register);
  const reconnects = async (): Promise<readonly string[]> =>
    (await register.expose()).body.split("\n").filter((line) => line.startsWith("sv2_reconnects_total{"));
  for (let count = 0; count < 3; count += 1) meter.connected("a", "iroh");
  expect(await reconnects()).toEqual([]);
  meter.ended("a");
  meter.connected("b", "tcp");
  expect(await reconnects()).toEqual([]);
  meter.connected("a", "tcp");
  meter.connected("a", "tcp");
  expect(await reconnects()).toEqual(['sv2_reconnects_total{transport="tcp"} 1']);
  meter.ended("a");
  meter.ended("a");
  meter.connected("a", "iroh");
  meter.connected("a", "tcp");
  meter.connected("a", "tcp");
  expect(await reconnects()).toEqual([
    'sv2_reconnects_total{transport="tcp"} 2',
    'sv2_reconnects_total{transport="iroh"} 1',
  ]);
});

test("no more upstreams are remembered than a thousand, however many a pool names", async () => {
  const register = metricsRegister();
  const meter = new ReconnectMeter(register);
  for (let upstream = 0; upstream <= 1000; upstream += 1) meter.ended(`${upstream}`);
  for (const upstream of ["0", "1", "1000"]) meter.connected(upstream, "tcp");
  expect((await register.expose()).body).toContain('sv2_reconnects_total{transport="tcp"} 2');
});
