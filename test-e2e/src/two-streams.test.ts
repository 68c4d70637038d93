import { alpns, dualAlpn, encodeTicket, parseTicket } from "@adit/network-helpers/iroh";
import { UdpLink } from "@adit/network-helpers/testing/udp-link";
import { openSqliteStore } from "@adit/share-store";
import { afterAll, beforeAll, expect, test } from "vitest";
import { HASHRATE, poolToml, templateProviderToml, translatorToml, upstream } from "./harness/configs.ts";
import { loopbackNode, type Reachable, setUpMining } from "./harness/dial.ts";
import { expectRecorded } from "./harness/recorded-shares.ts";
import { Stage } from "./harness/stage.ts";
import { Sv1Miner } from "./harness/sv1-miner.ts";
import { Sv2Miner } from "./harness/sv2-miner.ts";
import type { TestRole } from "./harness/test-role.ts";
import { until } from "./harness/until.ts";

/** What the translator and the pool are left to reach each other by: one receives on IPv4 only, the other on IPv6 only. */
const ipv4Only = ["127.0.0.1:0", "[ff05::1]:0"];
const ipv6Only = ["224.0.0.251:0", "[::1]:0"];

let stage: Stage;
let link: UdpLink;
let pool: TestRole;
let translator: TestRole;

beforeAll(async () => {
  stage = await Stage.open();
  const templateProvider = await stage.start("template-provider", (folder) =>
    templateProviderToml(folder, { hashesPerBlock: 40_000 }),
  );
  pool = await stage.start("pool", (folder) =>
    poolToml(folder, templateProvider, {
      templatesOver: "iroh",
      streams: "dual",
      listen: { tcp: "127.0.0.1:0", udp: ipv4Only },
    }),
  );
  const bad = await linkTo(pool);
  link = bad.link;
  translator = await stage.start("translator", (folder) =>
    translatorToml(folder, [upstream(bad.pool, "iroh")], { streams: "dual", udp: ipv6Only }),
  );
});

afterAll(async () => {
  await stage[Symbol.asyncDispose]();
  await link[Symbol.asyncDispose]();
});

/** A link to a pool that loses, delays and reorders datagrams, and the pool as it is reached through it. */
async function linkTo(role: TestRole): Promise<{ readonly link: UdpLink; readonly pool: Reachable }> {
  const { endpointId, addresses } = parseTicket(role.listener("iroh").ticket ?? "");
  const port = Number(addresses.find((address) => address.startsWith("127."))?.split(":")[1]);
  const through = await UdpLink.open({
    host: "::1",
    target: { host: "127.0.0.1", port },
    conditions: { loss: 0.03, delayMs: 10, jitterMs: 10 },
    seed: 11,
  });
  const ticket = encodeTicket({ endpointId, relayUrls: [], addresses: [through.address] });
  const listener = { ...role.listener("iroh"), ticket };
  return { link: through, pool: { details: role.details, listener: () => listener } };
}

test("templates, jobs and shares travel on two streams of bad links, blocks are found, and every share is credited once", async () => {
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

  expect(link.counts.dropped).toBeGreaterThan(0);
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
