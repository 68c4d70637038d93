import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { Stage } from "../harness/stage.ts";
import { until } from "../harness/until.ts";
import { startBcoin } from "./bcoin-node.ts";
import { hasBtcd, startBtcd } from "./btcd-node.ts";
import { tipOf } from "./chain-view.ts";
import { minePlain } from "./mine-plain.ts";
import { nodeSuite } from "./node-suite.ts";
import { Wallet } from "./wallet.ts";

describe.skipIf(!hasBtcd())("Where Go is,", () => {
  nodeSuite("btcd", startBtcd);

  test("btcd takes over the chain of bcoin, and each has the blocks of the other", async () => {
    await using stage = await Stage.open();
    await using bcoin = await startBcoin({ folder: join(stage.folder, "bcoin") });
    const wallet = await Wallet.open(bcoin);
    await wallet.provide(50);
    await wallet.sendMany(100);
    await minePlain(bcoin, 1);
    await using btcd = await startBtcd({ folder: join(stage.folder, "btcd"), peer: bcoin.p2p });
    const meet = async (): Promise<boolean> => (await tipOf(bcoin)).hash === (await tipOf(btcd)).hash;
    await until("btcd has the chain", meet);
    await minePlain(btcd, 1);
    await until("bcoin has the block", meet);
    await wallet.sendMany(1);
    const [block] = await minePlain(bcoin, 1);
    await until("btcd has the block", meet);
    expect(await tipOf(btcd)).toMatchObject({ hash: block?.hash });
  });
});
