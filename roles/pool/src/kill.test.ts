import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { hex } from "@adit/bitcoin";
import { type FoundWork, HARD_BITS, newChain, TemplateServer, TestMiner } from "@adit/mining-shell/testing";
import { tcp } from "@adit/network-helpers/tcp";
import type { ReadyMessage } from "@adit/role-kit";
import { openSqliteStore } from "@adit/share-store";
import { describe, expect, test } from "vitest";
import { poolToml, temporaryFolder } from "./testing/running-pool.ts";

interface PoolProcess {
  readonly child: ChildProcess;
  readonly authority: string;
  readonly port: number;
}

async function startPool(configFile: string, folder: string): Promise<PoolProcess> {
  const child = fork(new URL("./testing/pool-process.ts", import.meta.url), ["-c", configFile, "-f", `${folder}/log`], {
    execArgv: ["--import", "tsx", "--conditions=@adit/source"],
  });
  const [message] = (await once(child, "message")) as [ReadyMessage];
  const [listener] = message.details["listeners"] as { address: string }[];
  const address = listener?.address ?? "";
  const authority = String(message.details["authority_public_key"]);
  return { child, authority, port: Number(address.slice(address.lastIndexOf(":") + 1)) };
}

/** Mines until `acknowledged` shares are, kills the pool in the middle of the next ones, and tells which were. */
async function mineAndKill(
  { child, authority, port }: PoolProcess,
  acknowledged: number,
): Promise<readonly FoundWork[]> {
  const stream = await tcp().dial(`127.0.0.1:${port}`, { signal: AbortSignal.timeout(5000) });
  await using miner = await TestMiner.over(stream, { authority });
  const channel = await miner.open("extended", "a");
  const works = Array.from({ length: 400 }, (_, seed) => miner.find(channel, { seed }));
  const sending = Promise.allSettled(works.map((work) => miner.submit(work)));
  await miner.until(() => miner.accepted >= acknowledged);
  child.kill("SIGKILL");
  await once(child, "exit");
  await miner.ended;
  await sending;
  expect(miner.rejected).toEqual([]);
  return works.slice(0, miner.accepted);
}

describe("a pool that is killed", () => {
  test("has every share on disk that it acknowledged, once", { timeout: 90_000 }, async () => {
    await using folder = await temporaryFolder();
    await using provider = await TemplateServer.start(newChain(HARD_BITS));
    const configFile = `${folder.path}/pool.toml`;
    await writeFile(configFile, poolToml({ folder: folder.path, templatePort: provider.port }));
    const acknowledged: FoundWork[] = [];
    for (const count of [20, 130, 250]) {
      acknowledged.push(...(await mineAndKill(await startPool(configFile, folder.path), count)));
    }
    await using store = await openSqliteStore({ path: `${folder.path}/shares.db` });
    const { shares } = await store.totals();
    expect(acknowledged.length).toBeGreaterThanOrEqual(400);
    expect(shares).toBeGreaterThanOrEqual(acknowledged.length);
    expect(new Set(acknowledged.map(({ hash }) => hex(hash))).size).toBe(acknowledged.length);
    const again = { prevHash: new Uint8Array(32), userIdentity: "x", worker: "", work: 1n, shareDifficulty: 1, at: 0 };
    const results = await Promise.all(acknowledged.map(({ hash }) => store.append({ ...again, hash })));
    expect(new Set(results)).toEqual(new Set(["duplicate"]));
    expect((await store.totals()).shares).toBe(shares);
  });
});
