import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { freePort } from "../harness/free-port.ts";
import { minePlain } from "./mine-plain.ts";
import { credentials, NodeProcess } from "./node-process.ts";
import type { NodeOptions, TestNode } from "./test-node.ts";

/** Blocks to premine: btcd has segwit in force from height 432 on. */
const PREMINED = 432;
/** Of blocks it makes templates for, in weight units: as near to the most as it can be set. */
const TEMPLATE_WEIGHT = 3_996_000;
const TEMPLATE_SIZE = 999_000;

/** Starts a btcd node on a new chain, whose coinbases anyone can spend, or that of its peer. */
export async function startBtcd({ folder, peer, blocksOnly }: NodeOptions): Promise<TestNode> {
  const [rpcPort, p2pPort] = [await freePort(), await freePort()];
  const configFile = join(folder, "btcd.conf");
  await mkdir(folder, { recursive: true });
  // A file without settings: it would make one of its own.
  await writeFile(configFile, "");
  const node = await NodeProcess.start({
    kind: "btcd",
    command: btcdProgram(),
    args: [
      "--regtest",
      `--configfile=${configFile}`,
      `--datadir=${join(folder, "data")}`,
      `--logdir=${join(folder, "logs")}`,
      `--rpcuser=${credentials.user}`,
      `--rpcpass=${credentials.password}`,
      "--notls",
      `--rpclisten=127.0.0.1:${rpcPort}`,
      `--listen=127.0.0.1:${p2pPort}`,
      "--nodnsseed",
      "--txindex",
      "--relaynonstd",
      `--blockmaxweight=${TEMPLATE_WEIGHT}`,
      `--blockmaxsize=${TEMPLATE_SIZE}`,
      ...(peer === undefined ? [] : [`--connect=${peer}`]),
      ...(blocksOnly ? ["--blocksonly"] : []),
    ],
    rpcPort,
    p2pPort,
    isReady: async (rpc) => (await rpc<number>("getblockcount")) >= 0,
  });
  try {
    if (peer === undefined) await minePlain(node, PREMINED);
  } catch (error) {
    await node.kill();
    throw error;
  }
  return node;
}

/** Whether {@link startBtcd} can work here: false where `pnpm test:node` has said why not. Throws when nobody says. */
export function hasBtcd(): boolean {
  return btcdProgram() !== "";
}

/** Empty where it could not be built. */
function btcdProgram(): string {
  const path = process.env["ADIT_NODE_BTCD"];
  if (path !== undefined) return path;
  throw new Error("ADIT_NODE_BTCD does not say where btcd is: run these tests with pnpm test:node");
}
