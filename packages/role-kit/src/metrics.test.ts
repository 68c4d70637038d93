import { expect, test } from "vitest";
import { metricsRegister } from "./metrics.ts";

test("a page is amended at each scrape, by what was registered last at last", async () => {
  const register = metricsRegister();
  const gauge = register.gauge({ name: "a", help: "A" });
  let value = 0;
  register.onCollect(() => gauge.set({}, ++value));
  register.onExpose((page) => `${page}b 1\n`);
  register.onExpose((page) => `${page}c 1\n`);
  expect((await register.expose()).body).toMatch(/\na 1\nb 1\nc 1\n$/);
  expect((await register.expose()).body).toMatch(/\na 2\nb 1\nc 1\n$/);
});
