// Runs vitest projects to their end.
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { root, toolEnvironment } from "./install.mjs";

/**
 * Runs the tests of some vitest projects, ends with one plain line, "N passed, N failed, N skipped", and returns the
 * exit code. `environment` is added to that of the tests; with `paths`, only files that have one in their name are run.
 */
export function runTests(projects, environment = {}, paths = []) {
  const folder = mkdtempSync(join(tmpdir(), "adit-test-"));
  try {
    const report = join(folder, "report.json");
    const vitest = join(root, "node_modules", "vitest", "vitest.mjs");
    const selected = projects.flatMap((project) => ["--project", project]);
    const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${report}`];
    const env = { ...toolEnvironment(), ...environment };
    const options = { cwd: root, env, stdio: "inherit" };
    const { status } = spawnSync(process.execPath, [vitest, "run", ...selected, ...reporters, ...paths], options);
    if (!existsSync(report)) return status || 1;
    const { numPassedTests, numFailedTests, numPendingTests, success } = JSON.parse(readFileSync(report, "utf8"));
    process.stdout.write(`${numPassedTests} passed, ${numFailedTests} failed, ${numPendingTests} skipped\n`);
    return status === 0 && success ? 0 : status || 1;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
