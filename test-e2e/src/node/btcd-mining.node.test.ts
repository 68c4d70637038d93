import { describe } from "vitest";
import { hasBtcd, startBtcd } from "./btcd-node.ts";
import { miningSuite } from "./mining/mining-suite.ts";

describe.skipIf(!hasBtcd())("Where Go is,", () => miningSuite("btcd", { start: startBtcd }));
