import {
  embeddedAccess,
  embeddedNode,
  jdServerToml,
  nodeTemplateProviderToml,
  poolToml,
  templateProviderToml,
} from "./configs.ts";
import { embeddedJds } from "./declaring-miner.ts";
import type { Reachable } from "./dial.ts";
import { Stage } from "./stage.ts";
import type { TestRole } from "./test-role.ts";

/** So many that some of those which come every other second pay more than some that are there: always a new template. */
const MEMPOOL_TRANSACTIONS = 200;

/** Both sides of job declaration but for the jd-client: each with a template provider of its own, on one chain. */
export interface DeclaringSides extends AsyncDisposable {
  readonly stage: Stage;
  /** The pool's template provider. Its embedded chain is everybody's node. */
  readonly chain: TestRole;
  /** The miner's template provider. */
  readonly templateProvider: TestRole;
  /** With a job-declarator server inside; it believes the one apart, too. */
  readonly pool: TestRole;
  /** The job-declarator server inside the pool. */
  readonly inside: Reachable;
  /** A job-declarator server in a process of its own. */
  readonly apart: TestRole;
}

/** Starts all of them. `hashesPerBlock`: what a block takes on average. */
export async function openSides(hashesPerBlock: number): Promise<DeclaringSides> {
  const stage = await Stage.open();
  const chain = await stage.start("template-provider", (folder) =>
    templateProviderToml(folder, { hashesPerBlock, mempoolTransactions: MEMPOOL_TRANSACTIONS, rpc: true }),
  );
  const [templateProvider, apart] = await Promise.all([
    stage.start("template-provider", (folder) => minersTemplatesToml(folder, chain), "templates"),
    stage.start("jd-server", (folder) => jdServerToml(folder, chain)),
  ]);
  const pool = await startPool(stage, { chain, jdServers: [apart.details.authority_public_key] }, "pool");
  const inside = embeddedJds(pool);
  return {
    stage,
    chain,
    templateProvider,
    pool,
    inside,
    apart,
    [Symbol.asyncDispose]: () => stage[Symbol.asyncDispose](),
  };
}

/** A pool with a job-declarator server inside. */
export async function startPool(
  stage: Stage,
  { chain, jdServers = [] }: { readonly chain: TestRole; readonly jdServers?: readonly string[] },
  name: string,
): Promise<TestRole> {
  const jds = (folder: string): string => `[jds.bitcoin_node]
data_path = "${folder}/node"
poll_interval_secs = 0.2
${embeddedNode(chain, "jds.bitcoin_node.nodes")}`;
  return await stage.start("pool", (folder) => poolToml(folder, chain, { jdServers, jds: jds(folder) }), name);
}

/** The config of a template provider whose node is the embedded chain of another one. */
function minersTemplatesToml(folder: string, chain: TestRole): string {
  return nodeTemplateProviderToml(folder, [embeddedAccess(chain)]);
}
