import { startBcoin } from "./bcoin-node.ts";
import { miningSuite } from "./mining/mining-suite.ts";

miningSuite("bcoin", { start: (options) => startBcoin({ ...options, hashesPerBlock: 6_000 }) });
