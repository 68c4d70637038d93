/**
 * Benches and generators of the packages' own tests, which have no public entry. The fuzzers use them rather than
 * copies; nothing else in this workspace imports past a package's exports.
 */
export { ClientView, Harness, prevHash, template } from "../../../packages/channels/src/server/testing/harness.ts";
export { EASY, EXTRANONCE1, testJob } from "../../../packages/sv1/src/testing/miner-bench.ts";
export { fromMiner, fromPool, lineFrom } from "../../../packages/sv1/src/testing/random-lines.ts";
export { Bench } from "../../../roles/translator/src/testing/bench.ts";
export { poolJob } from "../../../roles/translator/src/testing/pool-job.ts";
