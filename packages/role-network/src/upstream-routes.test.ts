import { expect, test } from "vitest";
import { checkRoutes } from "./upstream-routes.ts";

test("upstreams over Iroh are refused by a process that was started without it, with advice", () => {
  const [tcp, dual] = [{ transport: "tcp" }, { transport: "dual" }] as const;
  expect(() => checkRoutes({ endpointId: null }, [tcp, tcp])).not.toThrow();
  expect(() => checkRoutes({ endpointId: "id" }, [tcp, dual])).not.toThrow();
  expect(() => checkRoutes({ endpointId: null }, [tcp, dual])).toThrow("restart");
});
