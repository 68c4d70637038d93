import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { pureHashing } from "@adit/bitcoin";
import { acceptSv2 } from "@adit/network-helpers";
import { memory } from "@adit/network-helpers/memory";
import { metricsRegister, openLog, parseConfig } from "@adit/role-kit";
import { describe, expect, test } from "vitest";
import { embeddedDefaults } from "./config.ts";
import { EmbeddedBackend } from "./embedded/embedded-backend.ts";
import { templateDistributionServer, templateProviderRole } from "./role.ts";
import { TemplateProvider } from "./template-provider.ts";
import { seeded } from "./testing/random.ts";
import { temporaryFolder } from "./testing/running-role.ts";
import { TemplateMiner } from "./testing/template-miner.ts";

const signal = new AbortController().signal;

/** A template provider and a way to connect to it whose windows are small. */
async function open(
  folder: string,
  embedded: readonly string[],
): Promise<{
  readonly provider: TemplateProvider;
  readonly backend: EmbeddedBackend;
  /** A client, and how the provider's handler of it ended. */
  readonly connect: () => Promise<{ readonly miner: TemplateMiner; readonly handled: Promise<void> }>;
}> {
  const text = [
    'listen_address = "127.0.0.1:0"',
    'encryption = "plain"',
    "[limits]",
    "max_queue_bytes = 4300000",
    "[embedded]",
    `data_path = "${folder}/chain"`,
    "hashes_per_block = 16",
    ...embedded,
  ].join("\n");
  const config = parseConfig(templateProviderRole, { text, file: "test", env: {} });
  const ports = {
    log: openLog({ role: "template-provider", level: "debug", file: join(folder, "log") }),
    metrics: metricsRegister(),
    now: () => Date.now(),
    hashing: pureHashing,
    random: seeded(1),
  };
  const backend = await EmbeddedBackend.open(config.embedded ?? embeddedDefaults, ports);
  const provider = new TemplateProvider(backend, config.limits, ports);
  const transport = memory({ windowBytes: 4_096 });
  const listener = await transport.listen("here", { signal });
  const streams = listener.streams[Symbol.asyncIterator]();
  return {
    provider,
    backend,
    connect: async () => {
      const [stream, accepted] = await Promise.all([transport.dial("here", { signal }), streams.next()]);
      const [miner, connection] = await Promise.all([
        TemplateMiner.over(stream, null),
        acceptSv2(accepted.value, templateDistributionServer, { security: "plain", signal, deadlineMs: 10_000 }),
      ]);
      const handled = (async () => {
        await using owned = connection;
        await provider.serve(owned);
      })();
      handled.catch(() => {});
      return { miner, handled };
    },
  };
}

describe("a client that does not read", () => {
  test("is closed once the answers it asked for are too many, while others go on", async () => {
    await using folder = await temporaryFolder();
    const { provider, connect } = await open(folder.path, ["mempool_transactions = 4000"]);
    await using _ = provider;
    const good = await connect();
    await good.miner.constrain();
    const work = await good.miner.tip();
    const lazy = await connect();
    await lazy.miner.constrain();
    const { template } = await lazy.miner.tip();
    const asking = (async () => {
      for (;;) await lazy.miner.connection.write({ name: "RequestTransactionData", templateId: template.templateId });
    })();
    await expect(lazy.handled).rejects.toMatchObject({ code: "slow-consumer" });
    await expect(asking).rejects.toThrow();
    await good.miner.mine(work);
    await good.miner.tip();
    expect(provider.status()).toMatchObject({ chain: { height: 1 }, clients: [{ templates_sent: 2 }] });
  });

  test("finds only the newest tip when it reads again", async () => {
    await using folder = await temporaryFolder();
    const { provider, connect } = await open(folder.path, ["mempool_transactions = 4"]);
    await using _ = provider;
    const busy = await connect();
    const lazy = await connect();
    await busy.miner.constrain();
    await lazy.miner.constrain();
    await lazy.miner.tip();
    for (let height = 1; height <= 80; height++) await busy.miner.mine(await busy.miner.tip());
    const newest = await busy.miner.tip();
    let seen = 0;
    for (let tip = await lazy.miner.tip(); ; tip = await lazy.miner.tip()) {
      seen += 1;
      if (Buffer.compare(tip.prevHash.prevHash, newest.prevHash.prevHash) === 0) break;
    }
    expect(provider.status().chain?.height).toBe(80);
    expect(seen).toBeLessThan(40);
  });
});

test("a disk that hangs holds up neither templates nor blocks, and the operator is told", async () => {
  await using folder = await temporaryFolder();
  const { provider, backend, connect } = await open(folder.path, []);
  await using _ = provider;
  backend.templates.add = () => new Promise(() => {});
  const { miner } = await connect();
  await miner.constrain();
  await miner.mine(await miner.tip());
  await miner.tip();
  expect(provider.status().chain?.height).toBe(1);
  expect(await readFile(join(folder.path, "log"), "utf8")).toContain("the disk is slow");
});

describe("a client's connection", () => {
  test("that ends leaves no client behind", async () => {
    await using folder = await temporaryFolder();
    const { provider, connect } = await open(folder.path, []);
    await using _ = provider;
    const { miner, handled } = await connect();
    await miner.constrain();
    await miner.tip();
    expect(provider.status().clients).toHaveLength(1);
    await miner[Symbol.asyncDispose]();
    await handled;
    expect(provider.status().clients).toEqual([]);
  });
});
