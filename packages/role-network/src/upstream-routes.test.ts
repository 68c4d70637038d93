import { expect, test } from "vitest";
import { checkRoutes, upstreamKeys } from "./upstream-routes.ts";

test("upstreams over Iroh are refused by a process that was started without it, with advice", () => {
  const [tcp, dual] = [{ transport: "tcp" }, { transport: "dual" }] as const;
  expect(() => checkRoutes({ endpointId: null }, [tcp, tcp])).not.toThrow();
  expect(() => checkRoutes({ endpointId: "id" }, [tcp, dual])).not.toThrow();
  expect(() => checkRoutes({ endpointId: null }, [tcp, dual])).toThrow("restart");
});

test("the keys that a reload takes over are spelt as in the file", () => {
  expect(upstreamKeys).toEqual([
    "upstreams",
    "fallback.head_start_secs",
    "fallback.retry_min_secs",
    "fallback.retry_max_secs",
    "fallback.hold_down_secs",
    "fallback.steady_secs",
  ]);
});
