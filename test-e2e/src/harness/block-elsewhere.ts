import { encodeOutputs } from "@adit/bitcoin";
import { DeclaredJob } from "./declared-job.ts";
import { POOL_OUTPUT } from "./jd-server-script.ts";
import { TemplateFeed } from "./template-feed.ts";
import type { TestRole } from "./test-role.ts";
import { until } from "./until.ts";

const EXTRANONCE = new Uint8Array(8).fill(0xe1);

/** Somebody else finds a block. Resolves to the height of the embedded chain once it has it. */
export async function blockElsewhere(chain: TestRole): Promise<number> {
  await using feed = await TemplateFeed.dial(chain);
  const before = (await chain.status()).chain.height;
  const coinbaseTxOutputs = Uint8Array.from([1, ...encodeOutputs([POOL_OUTPUT])]);
  const granted = { miningJobToken: new Uint8Array(0), coinbaseTxOutputs };
  const job = new DeclaredJob(await feed.next(), granted, EXTRANONCE.length);
  await feed.submit(job.solution(job.solve(EXTRANONCE)));
  return await until("the block is in the chain", async () => {
    const { height } = (await chain.status()).chain;
    return height > before && height;
  });
}
