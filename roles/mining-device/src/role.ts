import type { RoleContext, RoleDefinition } from "@adit/role-kit";
import { fallbackKeys, irohNeed, openNetwork, upstreamKeys } from "@adit/role-network";
import { type MiningDeviceConfig, miningDeviceConfig } from "./config.ts";
import { connectSv1 } from "./connection/sv1-connection.ts";
import { connectSv2 } from "./connection/sv2-connection.ts";
import { HashingEngine } from "./hashing/hashing-engine.ts";
import { MiningDevice, type MiningDeviceParts } from "./mining-device.ts";

/** The mining device: CPU miners that speak Stratum V1 or V2, for demos, tests and load. */
export const miningDeviceRole: RoleDefinition<MiningDeviceConfig> = {
  name: "mining-device",
  title: "mines with CPU threads over Stratum V1 or V2, for demos, tests and load",
  envPrefix: "MINER",
  config: miningDeviceConfig,
  run,
};

/** Long enough for the JIT compiler to finish and for a figure that is right within a few percent. */
const MEASURE_MS = 1000;

async function run(config: MiningDeviceConfig, context: RoleContext<MiningDeviceConfig>): Promise<void> {
  const { threads, hashrateLimit } = config;
  await using engine = await HashingEngine.start({ threads, hashrateLimit, random: Math.random }, context);
  context.log.info({ threads, hashrateLimit }, "hashing threads up");
  const needsIroh = irohNeed([config.transport]);
  await using network = await openNetwork({ iroh: config.iroh, rpc: config.rpc, needsIroh }, context);
  if (config.protocol === "sv1") return await mine(config, { context, engine, network, connect: connectSv1 });
  const nominalHashrate = config.nominalHashrate ?? (await measured(config, { context, engine }));
  await mine(config, { context, engine, network, connect: connectSv2(network, nominalHashrate) });
}

interface Parts {
  readonly context: RoleContext<MiningDeviceConfig>;
  readonly engine: HashingEngine;
}

async function mine(
  config: MiningDeviceConfig,
  parts: Parts & Pick<MiningDeviceParts, "connect" | "network">,
): Promise<void> {
  const device = new MiningDevice({ config, ...parts });
  parts.context.onReload([...upstreamKeys(""), ...fallbackKeys], (changed) => device.replaceUpstream(changed));
  parts.context.setStatus(() => device.status());
  await device.run();
}

/** The part of this machine's hashrate that each connection gets. */
async function measured({ connections }: MiningDeviceConfig, { context, engine }: Parts): Promise<number> {
  const hashrate = await engine.measure(MEASURE_MS, context);
  context.log.info({ hashrate: Math.round(hashrate), connections }, "hashrate measured");
  return hashrate / connections;
}
