import { expect, test } from "vitest";
import { Internet } from "./internet.ts";

test("no way leads from one private network to the other", async () => {
  await using internet = await Internet.open({ poolForwards: true });
  for (const { udp } of [internet.pool, internet.translator]) {
    const [address = ""] = udp.split(":");
    await expect(internet.middle.run(["ip", "route", "get", address])).rejects.toThrow(/unreachable/);
  }
});
