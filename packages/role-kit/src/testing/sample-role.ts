import { once } from "node:events";
import { z } from "zod";
import { exitAfter, logLevels, processSettings, type RoleContext, runRole } from "../index.ts";

const config = z.strictObject({ ...processSettings, mode: z.enum(["serve", "hang", "reject"]) });

const logLevel = z.enum(logLevels);

async function run({ mode }: z.output<typeof config>, context: RoleContext): Promise<void> {
  const things = context.metrics.counter({ name: "sv2_sample_things_total", help: "Things", labels: ["kind"] });
  const level = context.metrics.gauge({ name: "sv2_sample_level", help: "Level" });
  context.metrics.onCollect(() => level.set({}, 7));
  things.inc({ kind: "one" }, 2);
  context.setStatus(() => ({ big: 12_345_678_901_234_567_890n }));
  context.operations?.serveHttp({
    find: () => ({
      kind: "call",
      run: async (level) => ({ before: context.operations?.setLogLevel(logLevel.parse(level)) }),
    }),
  });
  context.ready({ listening: 1 });
  if (mode === "reject") void Promise.reject(new Error("left to reject"));
  await once(context.signal, "abort");
  if (mode !== "hang") return;
  process.send?.("draining");
  await new Promise((resolve) => setTimeout(resolve, 60_000));
}

await exitAfter(
  runRole({ name: "sample", title: "A role for tests", envPrefix: "SAMPLE", config, run }, process.argv.slice(2)),
);
