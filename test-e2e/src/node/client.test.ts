import { startBcoin } from "./bcoin-node.ts";
import { clientSuite } from "./client-suite.ts";

clientSuite("bcoin", { start: startBcoin, orphan: "retry", knowsBranches: true });
