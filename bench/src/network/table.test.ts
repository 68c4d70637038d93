import { mkdtemp, readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { expect, test } from "vitest";
import { record } from "./record.ts";
import { networkTable } from "./table.ts";

const columns = [
  { name: "TCP", variant: 0 },
  { name: "Iroh / TCP", variant: 1, by: 0 },
];
const row = { condition: "loopback", what: "p50", unit: "ns" } as const;

test("a ratio is the median of those within the rounds, not that of the medians", () => {
  const samples = [
    [1e3, 2e3, 30e3],
    [3e3, 4e3, 30e3],
  ];
  expect(
    networkTable(columns, [{ ...row, samples }])
      .split("\n")
      .at(-1),
  ).toBe("| loopback | p50 | 2.00 us | 2.00 (4.00 us) |");
});

test("a variant that could not be measured has an empty cell", () => {
  expect(
    networkTable(columns, [{ ...row, samples: [[2e9], []] }])
      .split("\n")
      .at(-1),
  ).toBe("| loopback | p50 | 2.00 s |  |");
});

test("a run is recorded between its markers, time after time, and nowhere else", async () => {
  const path = join(await mkdtemp(join(tmpdir(), "adit-bench-")), "page.md");
  const file = pathToFileURL(path);
  await writeFile(file, "before\n<!-- run -->\nold\n<!-- /run -->\nbehind\n");
  await record(file, "run", "a table");
  await record(file, "run", "another");
  expect(await readFile(file, "utf8")).toBe("before\n<!-- run -->\n\nanother\n\n<!-- /run -->\nbehind\n");
  await expect(record(file, "soak", "a table")).rejects.toThrow("has no <!-- soak -->");
});
