import { startBcoin } from "./bcoin-node.ts";
import { faultSuite } from "./faults/fault-suite.ts";
import { HASHES_PER_BLOCK } from "./mining-line.ts";

faultSuite("bcoin", async (options) => await startBcoin({ ...options, hashesPerBlock: HASHES_PER_BLOCK }));
