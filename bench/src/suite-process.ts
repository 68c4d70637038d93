import { type BenchOptions, Skipped, type Table } from "./suite.ts";
import { isSuiteName, suites } from "./suites.ts";

/** What a suite's process sends its parent. */
export type SuiteMessage =
  | { readonly type: "table"; readonly table: Table }
  | { readonly type: "skipped"; readonly reason: string };

const [name = "", optionsJson = "{}"] = process.argv.slice(2);
if (!isSuiteName(name)) throw new Error(`no suite is called "${name}"`);
const suite = await suites[name]();
try {
  for await (const table of suite.run(JSON.parse(optionsJson) as BenchOptions)) tell({ type: "table", table });
} catch (error) {
  if (!(error instanceof Skipped)) throw error;
  tell({ type: "skipped", reason: error.message });
}
process.disconnect();

function tell(message: SuiteMessage): void {
  process.send?.(message);
}
