import { afterAll, beforeAll, expect, test } from "vitest";
import {
  HASHRATE,
  type Listen,
  listensOn,
  poolToml,
  templateProviderToml,
  translatorToml,
  upstream,
} from "./harness/configs.ts";
import { dialPool } from "./harness/dial.ts";
import { expectRecorded } from "./harness/recorded-shares.ts";
import { Stage } from "./harness/stage.ts";
import { Sv1Miner } from "./harness/sv1-miner.ts";
import { Sv2Miner } from "./harness/sv2-miner.ts";
import type { TestRole } from "./harness/test-role.ts";
import { until } from "./harness/until.ts";

let stage: Stage;
let templateProvider: TestRole;

beforeAll(async () => {
  stage = await Stage.open();
  templateProvider = await stage.start("template-provider", templateProviderToml);
});

afterAll(async () => {
  await stage[Symbol.asyncDispose]();
});

async function startPool(name: string, listen?: Listen): Promise<TestRole> {
  const options = listen === undefined ? {} : { listen };
  return await stage.start("pool", (folder) => poolToml(folder, templateProvider, options), name);
}

test.concurrent.each(["tcp", "iroh"] as const)(
  "a pool that crashes under a translator over %s comes back to the same miners, with every acknowledged share",
  async (transport) => {
    const name = `pool-${transport}`;
    const first = await startPool(name);
    const listen = listensOn(first);
    const entries = [upstream(first, transport)];
    const translator = await stage.start(
      "translator",
      (folder) => translatorToml(folder, entries),
      `translator-${transport}`,
    );
    using miner = await Sv1Miner.dial(translator.details.downstream_address);
    const direct = await Sv2Miner.open(await dialPool(first), "direct", HASHRATE);
    await until("shares acknowledged before the crash", async () => {
      const { shares_acknowledged } = await translator.status();
      return shares_acknowledged >= 4 && direct.acknowledged.size >= 4;
    });
    const before = await translator.status();
    expect(before.upstream.transport).toBe(transport);

    await first.crash();
    await until(
      "the translator misses its pool",
      async () => (await translator.status()).upstream.state !== "connected",
    );
    await direct[Symbol.asyncDispose]();
    const second = await startPool(name, listen);
    expect(second.listener("iroh").endpoint_id).toBe(first.listener("iroh").endpoint_id);
    expect(second.details.authority_public_key).toBe(first.details.authority_public_key);

    const { accepted } = miner;
    const after = await until("shares acknowledged after the restart", async () => {
      const status = await translator.status();
      return status.shares_acknowledged >= before.shares_acknowledged + 4 && miner.accepted > accepted && status;
    });
    expect(miner.isConnected).toBe(true);
    expect(after.miners.map(({ id, since }) => ({ id, since }))).toEqual(
      before.miners.map(({ id, since }) => ({ id, since })),
    );
    expect(after.miners).toHaveLength(1);

    expect(await second.stop()).toBe(0);
    await translator.stop();
    await expectRecorded(`${stage.folder}/${name}/shares.db`, { userIdentity: "direct", hashes: direct.acknowledged });
  },
);
