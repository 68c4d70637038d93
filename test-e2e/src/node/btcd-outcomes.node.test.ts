import { describe } from "vitest";
import { hasBtcd, startBtcd } from "./btcd-node.ts";
import { outcomeSuite } from "./outcome-suite.ts";

describe.skipIf(!hasBtcd())("Where Go is,", () => outcomeSuite("btcd", startBtcd));
