// A Bitcoin node for tests in a process of its own: bcoin on regtest, reachable from this machine only. Started by
// test-e2e/src/node/bcoin-node.ts. Premines a chain on which segwit is in force, unless it has one or gets it of a peer.
import { createRequire } from "node:module";
import { join } from "node:path";
import { parseArgs } from "node:util";

const { values: options } = parseArgs({
  options: {
    /** Folder in which bcoin is installed. */
    software: { type: "string" },
    /** Port of JSON-RPC. */
    "rpc-port": { type: "string" },
    /** Password of JSON-RPC. */
    password: { type: "string" },
    /** Port for other nodes. */
    "p2p-port": { type: "string" },
    /** host:port of the only node to connect to. */
    peer: { type: "string" },
    /** Takes no transactions of its peer, blocks only. */
    "blocks-only": { type: "boolean" },
    /** Where the chain is kept. */
    folder: { type: "string" },
    /** Compact target, hexadecimal, of every block from the last premined one on. Without it, that of regtest. */
    bits: { type: "string" },
    /** Blocks to premine. */
    premine: { type: "string" },
    /** Output script that premined coinbases pay, hexadecimal. */
    "pay-to": { type: "string" },
  },
});

const SECONDS_BETWEEN_BLOCKS = 60;
/** Error codes of Bitcoin Core's `sendrawtransaction`: inputs are missing; a rule is broken. */
const VERIFY_ERROR = -25;
const VERIFY_REJECTED = -26;

// bcoin's native parts are left uncompiled; read as soon as it is loaded.
process.env.NODE_BACKEND = "js";
const load = createRequire(join(options.software, "package.json"));
const bcoin = load("bcoin");

/**
 * Gives blocks from a height on a target of their own. bcoin asks `getTarget` both for what it mines and for what it is
 * sent, and the answer depends on the height alone, so that peers and restarts agree.
 */
function harden(chain, bits, fromHeight) {
  const easy = chain.getTarget.bind(chain);
  chain.getTarget = async (time, previous) => (previous.height + 1 < fromHeight ? await easy(time, previous) : bits);
}

/** bcoin on its own answers before its mempool has looked at a transaction, and never tells that one was refused. */
function answerAsOthersDo(node) {
  const { RPCError } = node.rpc.constructor;
  node.rpc.calls.sendrawtransaction = async ([data]) => {
    const tx = bcoin.TX.fromRaw(data, "hex");
    const missing = await node.mempool.addTX(tx).catch((error) => {
      throw new RPCError(VERIFY_REJECTED, error.reason ?? error.message);
    });
    if (missing !== null) throw new RPCError(VERIFY_ERROR, "bad-txns-inputs-missingorspent");
    return tx.txid();
  };
}

/** The blocks are of the last hours: a chain whose tip is old counts as one that is still being downloaded. */
async function premine(node, count, script) {
  const { chain, miner } = node;
  const payTo = bcoin.Address.fromScript(bcoin.Script.fromRaw(script, "hex"));
  const now = Math.floor(Date.now() / 1000);
  for (let left = count - chain.height; left > 0; left -= 1) {
    const job = await miner.cpu.createJob(chain.tip, payTo);
    job.attempt.time = now - left * SECONDS_BETWEEN_BLOCKS;
    job.refresh();
    const block = await job.mineAsync();
    if ((await chain.add(block)) === null) throw new Error(`the chain refused premined block ${chain.height + 1}`);
  }
}

function nodeOf({ folder, peer, password, ...ports }) {
  return new bcoin.FullNode({
    network: "regtest",
    memory: false,
    prefix: folder,
    indexTX: true,
    workers: false,
    listen: true,
    host: "127.0.0.1",
    port: Number(ports["p2p-port"]),
    only: peer === undefined ? undefined : [peer],
    maxOutbound: 1,
    seeds: [],
    discover: false,
    upnp: false,
    noDns: true,
    httpHost: "127.0.0.1",
    httpPort: Number(ports["rpc-port"]),
    apiKey: password,
    logLevel: "info",
    logConsole: true,
    logFile: false,
  });
}

/** bcoin on its own waits for whoever has a connection: a long poll can take as long as a block. */
async function stop(node) {
  const closed = node.close();
  node.http.http.closeAllConnections();
  await closed;
}

function fail(error) {
  process.stderr.write(`${error.stack}\n`);
  process.exit(1);
}

async function run() {
  const node = nodeOf(options);
  const premined = Number(options.premine);
  if (options.bits !== undefined) harden(node.chain, Number.parseInt(options.bits, 16), premined);
  answerAsOthersDo(node);
  node.pool.options.noRelay = options["blocks-only"] === true;
  // It would ask name servers on the internet for its own address.
  node.pool.discoverExternal = async () => {};
  node.on("error", (error) => process.stderr.write(`${error.stack}\n`));
  // On its own, bcoin lets a template follow the mempool only ten seconds after the last one.
  node.on("tx", () => node.rpc.refreshBlock());
  await node.ensure();
  await node.open();
  process.once("SIGTERM", () => void stop(node).then(() => process.exit(0), fail));
  await node.connect();
  // Last, as whoever waits for the node waits for these blocks.
  if (options.peer === undefined) await premine(node, premined, options["pay-to"]);
  node.startSync();
}

run().catch(fail);
