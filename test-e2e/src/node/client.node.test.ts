import { describe } from "vitest";
import { hasBtcd, startBtcd } from "./btcd-node.ts";
import { clientSuite } from "./client-suite.ts";

describe.skipIf(!hasBtcd())("Where Go is,", () => {
  clientSuite("btcd", { start: startBtcd, orphan: "accepted", knowsBranches: false });
});
