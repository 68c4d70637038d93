// `pnpm test:node`: runs the tests against real Bitcoin node software. bcoin comes from the npm registry; btcd is built where
// Go is and Bitcoin Core's kernel where Rust is, outside of the checkout. Says what is skipped and why, and ends as
// `npm test` does. `--others-only` leaves out what needs only bcoin, which `npm test` runs as well.
import { install } from "./install.mjs";
import { buildBtcd, buildKernel, installBcoin, orExit } from "./node-software.mjs";
import { runTests } from "./run-tests.mjs";

install();
orExit(installBcoin);
const built = { ADIT_NODE_BTCD: orExit(buildBtcd), ADIT_NODE_KERNEL: orExit(buildKernel) };
for (const { missing } of Object.values(built)) {
  if (missing !== undefined) process.stdout.write(`skipped: ${missing}\n`);
}
const environment = Object.fromEntries(Object.entries(built).map(([name, { program }]) => [name, program ?? ""]));
const projects = process.argv.includes("--others-only") ? ["node"] : ["e2e", "node"];
process.exit(runTests(projects, environment, ["test-e2e/src/node/"]));
