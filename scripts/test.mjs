// `npm test`: installs what is missing, type-checks, lints and runs every test that needs nothing but Node and npm.
// `--tests-only` runs the tests alone, `--unit-tests-only` those of them that start no role. Ends with one plain line,
// "N passed, N failed, N skipped".
import { install, run } from "./install.mjs";
import { installBcoin, orExit } from "./node-software.mjs";
import { runTests } from "./run-tests.mjs";

install();
orExit(installBcoin);
const unitTestsOnly = process.argv.includes("--unit-tests-only");
if (!unitTestsOnly && !process.argv.includes("--tests-only")) {
  for (const script of ["check", "lint", "format", "docs", "knip"]) {
    process.stdout.write(`\n== ${script}\n`);
    run("pnpm", ["--silent", "run", script]);
  }
}
process.stdout.write(`\n== tests on Node ${process.versions.node}\n`);
process.exit(runTests(unitTestsOnly ? ["unit"] : ["unit", "e2e"]));
