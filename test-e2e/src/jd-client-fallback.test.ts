import type { DialectMessage } from "@adit/codec";
import { openSqliteStore } from "@adit/share-store";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { upstream } from "./harness/configs.ts";
import { DeclaringFarm } from "./harness/declaring-farm.ts";
import { embeddedJds } from "./harness/declaring-miner.ts";
import { type DeclaringSides, openSides, startPool } from "./harness/declaring-sides.ts";
import { job } from "./harness/pool-script.ts";
import { type ShareBooks, settledBooks } from "./harness/share-books.ts";
import type { TestRole } from "./harness/test-role.ts";
import { until } from "./harness/until.ts";

/** Nobody finds a block: the tip stays where it is. */
const NEVER = 2 ** 44;
/** An upstream that was ready and failed is used again when it has been ready for so long. */
const HOLD_DOWN_MS = 10_000;
/** The jd-client's clock and the sniffer's are read at different moments. */
const SLACK_MS = 1500;

let sides: DeclaringSides;
/** The second choice of every farm. */
let backup: TestRole;
/** What the farms' jd-clients have counted, by the name that a farm has at the pools. */
const booksOf = new Map<string, ShareBooks>();

beforeAll(async () => {
  sides = await openSides(NEVER);
  backup = await startPool(sides.stage, sides, "backup");
});

afterAll(async () => {
  await sides[Symbol.asyncDispose]();
});

/** Makes the first upstream of a farm fail. Resolves to what makes it work again. */
type Break = (farm: DeclaringFarm) => Promise<() => Promise<void> | void>;

const lost =
  (side: "pool" | "jds"): Break =>
  async (farm) => {
    await farm[side].refuse();
    farm[side].cut();
    return () => farm[side].accept();
  };

/** An interception, and its end. */
const intercepting =
  (begin: (farm: DeclaringFarm) => Disposable): Break =>
  async (farm) => {
    const interception = begin(farm);
    return () => interception[Symbol.dispose]();
  };

/** A message of the pool that it has not sent. */
const saying =
  (message: (channelId: number) => DialectMessage<"mining">): Break =>
  async ({ pool }) => {
    const { channelId } = await pool.saw("down", "OpenExtendedMiningChannelSuccess");
    await pool.inject("down", message(channelId));
    return () => {};
  };

interface Failure {
  /** As it is logged and counted. */
  readonly reason: string;
  readonly what: string;
  readonly fail: Break;
  /** What the jd-client is told to wait at most. */
  readonly top?: string;
}

const failures: readonly Failure[] = [
  { reason: "connection-lost", what: "its pool is gone", fail: lost("pool") },
  { reason: "connection-lost", what: "its jd-server is gone", fail: lost("jds") },
  {
    reason: "token-timeout",
    what: "its jd-server gives no token",
    fail: intercepting(({ jds }) => jds.drop("down", "AllocateMiningJobTokenSuccess")),
    top: "token_timeout_secs = 4",
  },
  {
    reason: "declaration-refused",
    what: "its jd-server refuses a job",
    fail: intercepting(({ jds }) =>
      jds.replace("down", "DeclareMiningJobSuccess", {
        times: 1,
        by: ({ requestId }) => [
          { name: "DeclareMiningJobError", requestId, errorCode: "invalid-job", errorDetails: new Uint8Array(0) },
        ],
      }),
    ),
  },
  {
    reason: "declaration-timeout",
    what: "its jd-server says nothing of a job",
    fail: intercepting(({ jds }) => jds.drop("down", "DeclareMiningJobSuccess")),
    top: "answer_timeout_secs = 4",
  },
  {
    reason: "custom-job-refused",
    what: "its pool refuses a job that was declared",
    fail: intercepting(({ pool }) =>
      pool.replace("down", "SetCustomMiningJobSuccess", {
        times: 1,
        by: ({ channelId, requestId }) => [
          { name: "SetCustomMiningJobError", channelId, requestId, errorCode: "invalid-coinbase-tx-outputs" },
        ],
      }),
    ),
  },
  {
    reason: "custom-job-timeout",
    what: "its pool says nothing of a job",
    fail: intercepting(({ pool }) => pool.drop("down", "SetCustomMiningJobSuccess")),
    top: "answer_timeout_secs = 4",
  },
  {
    reason: "share-rejected",
    what: "its pool rejects a share of a job that it has taken",
    fail: intercepting(({ pool }) =>
      pool.replace("down", "SubmitSharesSuccess", {
        times: 1,
        by: ({ channelId, lastSequenceNumber: sequenceNumber }) => [
          { name: "SubmitSharesError", channelId, sequenceNumber, errorCode: "invalid-share" },
        ],
      }),
    ),
  },
  {
    reason: "unexpected-job",
    what: "its pool sends a job of its own",
    fail: saying((channelId) => job(77, { channelId })),
  },
  {
    reason: "payout-changed",
    what: "its jd-server asks for another payout",
    fail: intercepting(({ jds }) =>
      jds.replace("down", "AllocateMiningJobTokenSuccess", {
        times: 1,
        by: (message) => [{ ...message, coinbaseTxOutputs: paidElsewhere(message.coinbaseTxOutputs) }],
      }),
    ),
  },
  {
    reason: "channel-closed",
    what: "its pool closes the channel",
    fail: saying((channelId) => ({ name: "CloseChannel", channelId, reasonCode: "enough" })),
  },
];

describe("a farm mines for its second pool, and for the first again, on the same sockets of its miners", () => {
  test.concurrent.each(failures)("$reason: when $what", async ({ reason, what, fail, top = "" }) => {
    const name = what.replaceAll(" ", "-");
    const second = { pool: upstream(backup, "iroh"), jds: upstream(embeddedJds(backup), "tcp") };
    await using farm = await DeclaringFarm.open(sides, { name, fallbacks: [second], top });
    const { client, pool } = farm;
    const miner = await farm.sv1Miner();
    await pool.saw("down", "SubmitSharesSuccess");
    const [best, next] = (await client.status()).upstreams.map((entry) => entry.name);

    const first = await pool.sighting("down", "OpenExtendedMiningChannelSuccess");
    const mend = await fail(farm);
    const left = await changed(client, { from: best!, to: "solo" });
    expect(left["reason"]).toBe(reason);
    await changed(client, { from: "solo", to: next! });
    await mend();
    await creditedBy(backup, name);
    const returned = await changed(client, { from: next!, to: best! });
    expect(returned["reason"]).toBe("better-upstream-ready");
    // It was not trusted at once: it might have gone again.
    const set = await pool.sighting("up", "SetCustomMiningJob", {
      where: (_, { connection }) => connection > first.connection,
    });
    const isAgain = (_: unknown, { connection }: { readonly connection: number }): boolean =>
      connection === set.connection;
    const opened = await pool.sighting("down", "OpenExtendedMiningChannelSuccess", { where: isAgain });
    expect(set.at - opened.at).toBeGreaterThan(HOLD_DOWN_MS - SLACK_MS);
    await pool.saw("down", "SubmitSharesSuccess", { where: isAgain });

    expect([miner.isConnected, miner.rejected]).toEqual([true, []]);
    miner.rest();
    const books = await settledBooks(client);
    booksOf.set(name, books);
    expect(books.acknowledged).toBeGreaterThan(0);
    // Of failures there are more when it was dialled before it was mended.
    const page = await client.metrics();
    expect(page).toMatch(new RegExp(`^sv2_jd_client_upstream_failures_total{reason="${reason}"} [1-9]`, "m"));
    expect(page).toContain(`sv2_jd_client_upstream_changes_total{reason="${reason}"} 1\n`);
  });

  test.concurrent("or alone, where there is no second one", async () => {
    const name = "no-second-pool";
    await using farm = await DeclaringFarm.open(sides, { name });
    const { client, pool } = farm;
    const miner = await farm.sv1Miner();
    await pool.saw("down", "SubmitSharesSuccess");
    const [best] = (await client.status()).upstreams.map((entry) => entry.name);
    const mend = await lost("pool")(farm);
    await changed(client, { from: best!, to: "solo" });
    const { accepted } = miner;
    await until("shares are accepted all the same", () => miner.accepted > accepted);
    const since = pool.mark();
    await mend();
    expect((await changed(client, { from: "solo", to: best! }))["reason"]).toBe("upstream-ready");
    await pool.saw("down", "SubmitSharesSuccess", { since });
    expect([miner.isConnected, miner.rejected]).toEqual([true, []]);
    miner.rest();
    const books = await settledBooks(client);
    booksOf.set(name, books);
    expect(books.solo).toBeGreaterThan(0);
  });

  test("and every share that their jd-clients were told is credited is in the stores of the pools", async () => {
    for (const pool of [sides.pool, backup]) expect(await pool.stop()).toBe(0);
    const stored = new Map<string, number>();
    for (const name of ["pool", "backup"]) {
      await using store = await openSqliteStore({ path: `${sides.stage.folder}/${name}/shares.db` });
      for (const { userIdentity, shares } of await store.workers()) {
        stored.set(userIdentity, (stored.get(userIdentity) ?? 0) + shares);
      }
    }
    expect([...stored.keys()].toSorted()).toEqual([...booksOf.keys()].toSorted());
    for (const [name, { acknowledged, unanswered, rejected }] of booksOf) {
      expect(stored.get(name), name).toBeGreaterThanOrEqual(acknowledged);
      // A pool may have credited what it could not answer any more.
      expect(stored.get(name), name).toBeLessThanOrEqual(acknowledged + unanswered + rejected);
    }
  });
});

/** Resolves to the line that says so. */
async function changed(
  client: TestRole,
  { from, to }: { readonly from: string; readonly to: string },
): Promise<Readonly<Record<string, unknown>>> {
  return await until(`the jd-client goes from ${from} to ${to}`, () =>
    client.logLines().find((line) => line.msg === "upstream changed" && line["from"] === from && line["to"] === to),
  );
}

async function creditedBy(pool: TestRole, userIdentity: string): Promise<void> {
  await until(`a share of ${userIdentity} is credited`, async () => {
    const { channels } = await pool.status();
    return channels.some((channel) => channel.user_identity === userIdentity && channel.shares_accepted > 0);
  });
}

/** The same outputs, whose last byte of script is another. */
function paidElsewhere(outputs: Uint8Array): Uint8Array {
  const changed = outputs.slice();
  changed[changed.length - 1] = (changed.at(-1) ?? 0) ^ 1;
  return changed;
}
