import { fileURLToPath } from "node:url";
import { bitsFromTarget, hex, target } from "@adit/bitcoin";
import { freePort } from "../harness/free-port.ts";
import { lockingScript } from "./anyone-can-spend.ts";
import { credentials, NodeProcess } from "./node-process.ts";
import type { NodeOptions, TestNode } from "./test-node.ts";

/** Blocks that are premined. bcoin has segwit in force from height 432 on. */
export const PREMINED = 441;

const launcher = fileURLToPath(new URL("../../node/regtest-node.mjs", import.meta.url));
const HASHES = 2n ** 256n;

/** How a bcoin node is started. */
export interface BcoinOptions extends NodeOptions {
  /**
   * Hashes that a block takes on average, so that a share can be far from a block: 6,000 take a core 50 ms in JavaScript.
   * Of no other software, so that other nodes refuse the chain. Without it every second hash is a block.
   */
  readonly hashesPerBlock?: number;
}

/** Starts a bcoin node with {@link PREMINED} blocks, whose coinbases anyone can spend, or those of its peer. */
export async function startBcoin({ folder, peer, blocksOnly, hashesPerBlock }: BcoinOptions): Promise<TestNode> {
  const [rpcPort, p2pPort] = [await freePort(), await freePort()];
  const options = {
    software: softwareFolder(),
    "rpc-port": rpcPort,
    "p2p-port": p2pPort,
    password: credentials.password,
    folder,
    peer,
    bits: hashesPerBlock === undefined ? undefined : bitsOf(hashesPerBlock),
    premine: PREMINED,
    "pay-to": hex(lockingScript("legacy")),
  };
  const given = Object.entries(options).filter(([, value]) => value !== undefined);
  const flags = blocksOnly ? ["--blocks-only"] : [];
  const least = peer === undefined ? PREMINED : 0;
  return await NodeProcess.start({
    kind: "bcoin",
    command: process.execPath,
    args: [launcher, ...given.map(([name, value]) => `--${name}=${value}`), ...flags],
    rpcPort,
    p2pPort,
    isReady: async (rpc) => (await rpc<number>("getblockcount")) >= least,
  });
}

/** Where bcoin is installed. Throws when nobody says. */
function softwareFolder(): string {
  const folder = process.env["ADIT_NODE_BCOIN"];
  if (folder !== undefined && folder !== "") return folder;
  throw new Error("ADIT_NODE_BCOIN does not say where bcoin is: scripts/bcoin-setup.mjs sets it for vitest's projects");
}

function bitsOf(hashesPerBlock: number): string {
  return bitsFromTarget(target(HASHES / BigInt(hashesPerBlock))).toString(16);
}
