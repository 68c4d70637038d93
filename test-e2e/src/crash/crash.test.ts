import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { startNode } from "../harness/command.ts";
import { sourceFlags } from "../harness/test-role.ts";

const crashMain = fileURLToPath(new URL("main.ts", import.meta.url));
const KILLS = 6;

test("six kills under load, two of each role, lose nothing and count nothing twice", async () => {
  const { code, stdout, stderr } = await startNode([
    ...sourceFlags,
    crashMain,
    "--kills",
    String(KILLS),
    "--seed",
    "288",
  ]).ended;
  expect(stdout, stderr).toMatch(/^Verdict: ok$/m);
  expect(code).toBe(0);
  expect(stdout).toMatch(new RegExp(`^${KILLS} kills `, "m"));
  for (const role of ["template-provider", "pool", "translator"]) expect(stdout).toContain(`| ${role} | 2 |`);
  const count = (what: string): number => Number(new RegExp(`^\\| ${what} \\| (\\d+) \\|$`, "m").exec(stdout)?.[1]);
  const direct = count("direct shares acknowledged");
  const relayed = count("shares acknowledged to the translator");
  expect(direct).toBeGreaterThan(20);
  expect(relayed).toBeGreaterThan(2);
  expect(count("shares in the store")).toBeGreaterThanOrEqual(direct + relayed);
  expect(count("blocks in the chain")).toBeGreaterThan(0);
}, 180_000);
