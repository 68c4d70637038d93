import { readFile, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { configReference } from "../packages/role-kit/src/index.ts";
import { roles } from "../roles/adit/src/roles.ts";
import { dualStreamPage } from "./dual-stream-page.ts";
import { logEventsPage } from "./log-events-page.ts";
import { messagesPage } from "./messages-page.ts";
import { networkErrorsPage } from "./network-errors-page.ts";
import { networkMetricsPage } from "./network-metrics-page.ts";

/** Pages that are generated from code; `--check` fails when one on disk differs. */
const pages: readonly { readonly file: string; readonly generate: () => string }[] = [
  { file: "docs/reference/messages.md", generate: messagesPage },
  { file: "docs/reference/dual-stream-order.md", generate: dualStreamPage },
  { file: "docs/reference/network-errors.md", generate: networkErrorsPage },
  { file: "docs/reference/log-events.md", generate: logEventsPage },
  { file: "docs/reference/network-metrics.md", generate: networkMetricsPage },
  ...roles.map((role) => ({
    file: `docs/reference/${role.name}-config.md`,
    generate: () => configReference(role),
  })),
];

const root = new URL("../", import.meta.url);
const check = process.argv.includes("--check");

for (const { file, generate } of pages) {
  const path = fileURLToPath(new URL(file, root));
  const wanted = generate();
  const current = await readFile(path, "utf8").catch(() => undefined);
  if (current === wanted) continue;
  if (check) {
    console.error(`${file} differs from the code: run \`pnpm docs:write\` and commit the result`);
    process.exitCode = 1;
  } else {
    await writeFile(path, wanted);
    console.log(`wrote ${file}`);
  }
}
