import { alpns, dualAlpn } from "@adit/network-helpers/iroh";
import { openSqliteStore } from "@adit/share-store";
import { afterAll, beforeAll, expect, test } from "vitest";
import { HASHRATE, poolToml, templateProviderToml, translatorToml, upstream } from "./harness/configs.ts";
import { loopbackNode, setUpMining } from "./harness/dial.ts";
import { expectRecorded } from "./harness/recorded-shares.ts";
import { Stage } from "./harness/stage.ts";
import { Sv1Miner } from "./harness/sv1-miner.ts";
import { Sv2Miner } from "./harness/sv2-miner.ts";
import type { TestRole } from "./harness/test-role.ts";
import { until } from "./harness/until.ts";

let stage: Stage;
let pool: TestRole;
let translator: TestRole;

beforeAll(async () => {
  stage = await Stage.open();
  const templateProvider = await stage.start("template-provider", (folder) =>
    templateProviderToml(folder, { hashesPerBlock: 40_000 }),
  );
  pool = await stage.start("pool", (folder) =>
    poolToml(folder, templateProvider, { templatesOver: "iroh", streams: "dual" }),
  );
  translator = await stage.start("translator", (folder) =>
    translatorToml(folder, [upstream(pool, "iroh")], { streams: "dual" }),
  );
});

afterAll(async () => {
  await stage[Symbol.asyncDispose]();
});

test("templates, jobs and shares travel on two streams, blocks are found, and every share is credited once", async () => {
  await using node = await loopbackNode();
  const dual = { alpn: dualAlpn("mining", alpns.mining.noise) ?? "", dial: true, onFallback: expect.unreachable };
  const stream = await node
    .transport(alpns.mining.noise, dual)
    .dial(pool.listener("iroh").ticket ?? "", { signal: AbortSignal.timeout(20_000) });
  const direct = await Sv2Miner.open(await setUpMining(stream, pool.details.authority_public_key), "direct", HASHRATE);
  using miner = await Sv1Miner.dial(translator.details.downstream_address);
  await until("blocks and shares of both miners", async () => {
    const [{ last_block, blocks_found }, { shares_acknowledged }] = await Promise.all([
      pool.status(),
      translator.status(),
    ]);
    const blocks = last_block?.result === "accepted" && blocks_found >= 2;
    return blocks && shares_acknowledged >= 12 && direct.acknowledged.size >= 12;
  });
  const seen = [...(await pool.status()).connections, ...(await translator.status()).connections];
  const streams = seen.map(({ transport, direction, streams: count }) => `${direction} ${transport} ${count}`);
  expect(streams.toSorted()).toEqual(["downstream iroh 2", "downstream iroh 2", "upstream iroh 2", "upstream iroh 2"]);

  miner.rest();
  direct.rest();
  const settled = await until("an answer to every share", async () => {
    const status = await translator.status();
    const refused = Object.values(status.shares_rejected_upstream_by_reason).reduce((sum, count) => sum + count, 0);
    return status.shares_submitted === status.shares_acknowledged + refused && direct.unanswered === 0 && status;
  });
  const { shares_accepted } = await pool.status();
  expect(shares_accepted).toBe(settled.shares_acknowledged + direct.acceptedCount);
  await direct[Symbol.asyncDispose]();
  expect(await translator.stop()).toBe(0);
  expect(await pool.stop()).toBe(0);
  const store = `${stage.folder}/pool/shares.db`;
  await expectRecorded(store, { userIdentity: "direct", hashes: direct.acknowledged });
  await using shares = await openSqliteStore({ path: store });
  expect((await shares.totals()).shares).toBe(shares_accepted);
});
