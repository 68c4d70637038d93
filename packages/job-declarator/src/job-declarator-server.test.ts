import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { hex, type Network, pureHashing } from "@adit/bitcoin";
import { DECLARE_TX_DATA, encodeHeader } from "@adit/codec";
import { type ByteStream, defaultListenLimits, serveSv2 } from "@adit/network-helpers";
import { tcp } from "@adit/network-helpers/tcp";
import { pureCrypto } from "@adit/noise";
import { type MetricsRegister, metricsRegister, openLog } from "@adit/role-kit";
import { NodeServer } from "@adit/role-nodes/testing";
import { describe, expect, test } from "vitest";
import { JobDeclaratorServer } from "./job-declarator-server.ts";
import { type JdsSettings, jdsSettings } from "./settings.ts";
import { AUTHORITY_SECRET, declaration, solution } from "./testing/declaring.ts";
import { JdClient } from "./testing/jd-client.ts";
import { PAYOUT_SCRIPT, tipBelow, transaction } from "./testing/sample-template.ts";
import { readToken } from "./token.ts";

const transactions = [transaction(1), transaction(2)];
const network: Network = "regtest";

/** A job-declarator server as a pool embeds it, served over TCP without encryption. */
interface Embedded extends AsyncDisposable {
  readonly server: JobDeclaratorServer;
  readonly metrics: MetricsRegister;
  client(flags?: number): Promise<JdClient>;
  /** A stream to it on which nothing was said. */
  dial(): Promise<ByteStream>;
}

async function embed(settings: Partial<JdsSettings> = {}): Promise<Embedded> {
  const folder = await mkdtemp(join(tmpdir(), "adit-jd-"));
  const metrics = metricsRegister();
  const log = openLog({ role: "pool", level: "debug", file: join(folder, "log") });
  const server = await JobDeclaratorServer.open(
    {
      settings: { ...jdsSettings.parse({}), ...settings },
      network,
      payoutScript: PAYOUT_SCRIPT,
      authoritySecretKey: AUTHORITY_SECRET,
      crypto: pureCrypto,
      hashing: pureHashing,
    },
    { log, metrics, now: () => Date.now() },
  );
  const stop = new AbortController();
  const listeners = await serveSv2({
    listeners: [{ transport: tcp(), address: "127.0.0.1:0", security: "plain" }],
    server: server.server,
    limits: defaultListenLimits,
    handler: (connection) => server.serve(connection),
    onEvent: () => {},
    signal: stop.signal,
  });
  const [{ address } = { address: null }] = listeners.status();
  const dial = (): Promise<ByteStream> => tcp().dial(address ?? "", stop);
  return {
    server,
    metrics,
    client: async (flags = DECLARE_TX_DATA) => JdClient.over(await dial(), null, flags),
    dial,
    [Symbol.asyncDispose]: async () => {
      await listeners[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
      stop.abort();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function sample(metrics: MetricsRegister, name: string): Promise<string | undefined> {
  const { body } = await metrics.expose();
  return body.split("\n").find((line) => line.startsWith(`sv2_jd_server_${name}`));
}

describe("a job-declarator server inside a pool without nodes", () => {
  test("waits for the pool's tip", async () => {
    await using pool = await embed();
    expect(pool.server.trouble).toBe("no tip yet: the pool has no template");
    pool.server.setTip(tipBelow(102));
    expect(pool.server.trouble).toBeNull();
    expect(pool.server.status()).toMatchObject({ tip: { height: 101, bits: "2000ffff" }, mempool: null, nodes: [] });
  });

  test("asks for every transaction, checks the block by itself, and is told of a block by the pool", async () => {
    await using pool = await embed();
    pool.server.setTip(tipBelow(102, { minNtime: 1_700_000_000 }));
    await using client = await pool.client();
    const { miningJobToken } = await client.token();
    const asked = await client.ask(declaration({ token: miningJobToken, transactions }), "ProvideMissingTransactions");
    expect(asked.unknownTxPositionList).toEqual([0, 1]);
    const success = await client.ask(
      {
        name: "ProvideMissingTransactionsSuccess",
        requestId: 1,
        transactionList: transactions.map(({ bytes }) => bytes),
      },
      "DeclareMiningJobSuccess",
    );
    expect(pool.server.status().declared_jobs).toMatchObject({ count: 1, transactions: 2 });

    await client.connection.write(solution({ transactions }));
    await client.token(2);
    expect(await sample(pool.metrics, "solved_blocks_total")).toBe('sv2_jd_server_solved_blocks_total{by="client"} 1');
    const tokenId = readToken(success.newMiningJobToken)?.id ?? new Uint8Array();
    // A header that is not of the job: nothing is made of it.
    pool.server.solve({ tokenId, header: new Uint8Array(80), extranonce: new Uint8Array(8) });
    expect(pool.server.status().blocks).toEqual({ solved: 1, accepted: 0 });
  });

  test("refuses what breaks a rule that it can see", async () => {
    await using pool = await embed();
    pool.server.setTip(tipBelow(102, { minNtime: 1_700_000_000 }));
    await using client = await pool.client();
    const { miningJobToken } = await client.token();
    const coinbase = { outputs: [{ value: 5_000_000_001n, script: PAYOUT_SCRIPT }] };
    const refusal = await client.ask(declaration({ token: miningJobToken, coinbase }), "DeclareMiningJobError");
    expect(new TextDecoder().decode(refusal.errorDetails)).toBe("the block would break a rule: bad-cb-amount");
    expect(pool.server.status().declarations).toMatchObject({ refused: 1, refused_by_code: { "invalid-job": 1 } });
  });

  test("closes who floods it with requests, and serves others as before", async () => {
    await using pool = await embed();
    await using flooding = await pool.client(0);
    await using other = await pool.client(0);
    for (let requestId = 0; requestId < 30; requestId++) {
      await flooding.connection
        .write({ name: "AllocateMiningJobToken", userIdentifier: "x", requestId })
        .catch(() => {});
    }
    for (let answer = 0; answer < 8; answer++) await flooding.next("AllocateMiningJobTokenSuccess");
    await expect(flooding.next("AllocateMiningJobTokenSuccess")).rejects.toThrow();
    expect((await other.token()).requestId).toBe(1);
    const closed = 'sv2_jd_server_clients_closed_total{reason="token-flood"} 1';
    expect(await sample(pool.metrics, "clients_closed_total")).toBe(closed);
  });
});

test("a client that stops in the middle of a frame is closed in time, and one between frames is not", async () => {
  const { limits } = jdsSettings.parse({});
  await using pool = await embed({ limits: { ...limits, frameTimeoutSecs: 0.3 } });
  const stream = await pool.dial();
  await using stalling = await JdClient.over(stream, null);
  await using other = await pool.client();
  await stalling.token();
  await other.token();
  await stream.write(encodeHeader({ extensionType: 0, channelMsg: false, messageType: 0x57, length: 2_000_000 }));
  await stream.write(new Uint8Array(1_000));
  await expect(stalling.next("DeclareMiningJobError")).rejects.toThrow();
  const closed = 'sv2_jd_server_clients_closed_total{reason="frame-timeout"} 1';
  expect(await sample(pool.metrics, "clients_closed_total")).toBe(closed);
  expect((await other.token(2)).requestId).toBe(2);
});

describe("a job-declarator server with two nodes", () => {
  /** A node on the tip that samples are made for; `proposal` answers what it is asked to check. */
  async function nodeOnTip(proposal: () => { readonly result: unknown } | "hang-up"): Promise<NodeServer> {
    const node = await NodeServer.start();
    const tip = tipBelow(102);
    const hash = hex(tip.prevHash.toReversed());
    node.on("getblockchaininfo", () => ({
      result: { chain: "regtest", blocks: 101, bestblockhash: hash, chainwork: "cc" },
    }));
    node.on("getrawmempool", () => ({ result: [] }));
    const template = {
      version: 0x20000000,
      rules: ["csv", "!segwit"],
      previousblockhash: hash,
      transactions: [],
      coinbasevalue: 5_000_000_000,
      target: "00ffff".padEnd(64, "0"),
      mintime: tip.minNtime,
      mutable: ["time", "transactions", "prevblock"],
      sigoplimit: 80_000,
      sizelimit: 4_000_000,
      weightlimit: 4_000_000,
      curtime: tip.minNtime + 600,
      bits: "2000ffff",
      height: 102,
    };
    node.on("getblocktemplate", ({ params }) => {
      const isProposal = (params[0] as { readonly mode?: string }).mode === "proposal";
      return isProposal ? proposal() : { result: template };
    });
    return node;
  }

  test("asks the second when the first gives no verdict", async () => {
    await using first = await nodeOnTip(() => "hang-up");
    await using second = await nodeOnTip(() => ({ result: null }));
    const folder = await mkdtemp(join(tmpdir(), "adit-jd-"));
    const login = { coreRpcUser: "user", coreRpcPass: "secret" };
    const nodes = [first, second].map(({ url }) => ({ coreRpcUrl: url, ...login }));
    const bitcoinNode = jdsSettings.parse({
      bitcoinNode: { nodes, dataPath: folder, pollIntervalSecs: 0.05 },
    }).bitcoinNode!;
    await using pool = await embed({ bitcoinNode });
    await expect(embed({ bitcoinNode })).rejects.toMatchObject({ code: "data-path-in-use" });
    await using client = await pool.client();
    const { miningJobToken } = await client.token();
    const message = declaration({ token: miningJobToken });
    expect(await client.ask(message, "DeclareMiningJobSuccess")).toMatchObject({ requestId: 1 });
    await rm(folder, { recursive: true, force: true });
  });

  test("says that it is its own fault when none gives a verdict", async () => {
    await using first = await nodeOnTip(() => "hang-up");
    const folder = await mkdtemp(join(tmpdir(), "adit-jd-"));
    const login = { coreRpcUser: "user", coreRpcPass: "secret" };
    const bitcoinNode = jdsSettings.parse({
      bitcoinNode: { nodes: [{ coreRpcUrl: first.url, ...login }], dataPath: folder, pollIntervalSecs: 0.05 },
    }).bitcoinNode!;
    await using pool = await embed({ bitcoinNode });
    await using client = await pool.client();
    const { miningJobToken } = await client.token();
    const message = declaration({ token: miningJobToken });
    expect((await client.ask(message, "DeclareMiningJobError")).errorCode).toBe("internal-error");
    await rm(folder, { recursive: true, force: true });
  });
});
