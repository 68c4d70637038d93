import { startBcoin } from "./bcoin-node.ts";
import { outcomeSuite } from "./outcome-suite.ts";

outcomeSuite("bcoin", (options) => startBcoin({ ...options, hashesPerBlock: 6_000 }));
