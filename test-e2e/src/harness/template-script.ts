import { encodeOutputs, sha256d, witnessCommitmentOutput } from "@adit/bitcoin";
import { type NewTemplate, type TemplateSetNewPrevHash, u256 } from "@adit/codec";
import type { HostileServer, Script } from "./hostile-server.ts";

/** What a hostile template provider does. */
export type TemplateScript = Script<"template_distribution">;
type Client = Parameters<TemplateScript>[0];

const NBITS = 0x1d00ffff;

/** A future template, right in every respect unless changed. Its id is in its coinbase script. */
export function template(id: number, changes: Partial<NewTemplate> = {}): NewTemplate {
  return {
    name: "NewTemplate",
    templateId: BigInt(id),
    futureTemplate: true,
    version: 0x20000000,
    coinbaseTxVersion: 2,
    coinbasePrefix: Uint8Array.of(3, id & 0xff, (id >>> 8) & 0xff, 1),
    coinbaseTxInputSequence: 0xfffffffe,
    coinbaseTxValueRemaining: 5_000_000_000n,
    coinbaseTxOutputsCount: 1,
    coinbaseTxOutputs: encodeOutputs([witnessCommitmentOutput([])]),
    coinbaseTxLocktime: 0,
    merklePath: [],
    ...changes,
  };
}

/** A tip of its own for a template. */
export function tip(id: number, changes: Partial<TemplateSetNewPrevHash> = {}): TemplateSetNewPrevHash {
  return {
    name: "SetNewPrevHash",
    templateId: BigInt(id),
    prevHash: u256(sha256d(Uint8Array.of(id & 0xff, id >>> 8))),
    headerTimestamp: Math.floor(Date.now() / 1000),
    nBits: NBITS,
    target: u256(new Uint8Array(32).fill(0xff, 0, 28)),
    ...changes,
  };
}

/** From SetupConnection to the coinbase constraints. */
export async function setUp(client: Client): Promise<void> {
  await client.hear("SetupConnection");
  await client.say({ name: "SetupConnectionSuccess", usedVersion: 2, flags: 0 });
  await client.hear("CoinbaseOutputConstraints");
}

/** {@link setUp}, and a first template with its tip, as an honest template provider has it. */
export async function beginHonestly(client: Client, id: number): Promise<void> {
  await setUp(client);
  await client.say(template(id));
  await client.say(tip(id));
}

/** A pool at this template provider. */
export const poolToml = (folder: string, provider: HostileServer): string => `
transport = "tcp"
listen_address = "127.0.0.1:0"
authority_key_path = "${folder}/authority.key"
network = "regtest"
coinbase_reward_script = "addr(bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080)"
shares_per_minute = 240
share_batch_size = 1
min_hashrate = 1000
share_store_path = "${folder}/shares.db"
[iroh]
secret_key_path = "${folder}/iroh.key"
relay = "disabled"
bind = ["127.0.0.1:0"]
[template_provider_type.Sv2Tp]
${provider.upstream}`;
