// `npm test`: installs what is missing, type-checks, lints and runs every test. `--tests-only` runs the tests alone.
// Ends with one plain line, "N passed, N failed, N skipped".
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { install, root, run, toolEnvironment } from "./install.mjs";

install();
if (!process.argv.includes("--tests-only")) {
  for (const script of ["check", "lint", "format", "docs", "knip"]) {
    process.stdout.write(`\n== ${script}\n`);
    run("pnpm", ["--silent", "run", script]);
  }
}
process.stdout.write(`\n== tests on Node ${process.versions.node}\n`);
const report = join(mkdtempSync(join(tmpdir(), "adit-test-")), "report.json");
const vitest = join(root, "node_modules", "vitest", "vitest.mjs");
const args = [vitest, "run", "--reporter=default", "--reporter=json", `--outputFile.json=${report}`];
const { status } = spawnSync(process.execPath, args, { cwd: root, env: toolEnvironment(), stdio: "inherit" });
if (!existsSync(report)) process.exit(status || 1);
const { numPassedTests, numFailedTests, numPendingTests, success } = JSON.parse(readFileSync(report, "utf8"));
process.stdout.write(`${numPassedTests} passed, ${numFailedTests} failed, ${numPendingTests} skipped\n`);
process.exit(status === 0 && success ? 0 : status || 1);
