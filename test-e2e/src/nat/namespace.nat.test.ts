import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { processesWith } from "../harness/process-list.ts";
import { sourceFlags } from "../harness/test-role.ts";
import { until } from "../harness/until.ts";
import { Namespace, namespaces, sweep } from "./namespace.ts";

const abandoning = fileURLToPath(new URL("./testing/abandon.ts", import.meta.url));

test("what a killed process has left behind is swept away with what runs in it, and nothing of a living one", async () => {
  await using ours = await Namespace.create("ours");
  const child = spawn(process.execPath, [...sourceFlags, abandoning], { stdio: ["ignore", "pipe", "inherit"] });
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  const { value: name } = await lines.next();
  const inside = `sleep ${child.pid}00`;
  await until("a process runs there", () => processesWith(inside).length > 0);
  child.kill("SIGKILL");
  await once(child, "exit");
  expect(await namespaces()).toContain(name);
  await sweep();
  expect(await namespaces()).not.toContain(name);
  expect(await namespaces()).toContain(ours.name);
  await until("nothing runs there", () => processesWith(inside).length === 0);
});
