import { type MiningMessage, type OpenExtendedMiningChannelSuccess, u256 } from "@adit/codec";
import type { Script } from "./hostile-server.ts";
import { CHANNEL, job, open, prefixOf, prevHash, SHARE_TARGET, setUp } from "./pool-script.ts";

/** A channel's kind. */
export type Kind = "standard" | "extended";
/** What a pool does with one mining device. */
export type MiningScript = Script<"mining">;
type Client = Parameters<MiningScript>[0];

/** The merkle root of every standard job. */
export const root: ReturnType<typeof u256> = u256(new Uint8Array(32).fill(5));

/** Opens the channel that is asked for. */
export async function openAs(
  kind: Kind,
  client: Client,
  changes: Partial<OpenExtendedMiningChannelSuccess> = {},
): Promise<void> {
  if (kind === "extended") return await open(client, changes);
  const { requestId } = await client.hear("OpenStandardMiningChannel");
  const { target = SHARE_TARGET, extranoncePrefix = prefixOf(8), groupChannelId = 100 } = changes;
  const channelId = changes.channelId ?? CHANNEL;
  await client.say({
    name: "OpenStandardMiningChannelSuccess",
    requestId,
    channelId,
    target,
    extranoncePrefix,
    groupChannelId,
  });
}

/** A future job of the channel's kind. */
export function jobAs(kind: Kind, jobId: number, changes: Partial<ReturnType<typeof job>> = {}): MiningMessage {
  const { channelId, minNtime, version, ...rest } = job(jobId, changes);
  return kind === "extended"
    ? { channelId, minNtime, version, ...rest }
    : { name: "NewMiningJob", channelId, jobId, minNtime, version, merkleRoot: root };
}

/** A job on a new tip. */
export async function giveWorkAs(kind: Kind, client: Client, jobId: number): Promise<void> {
  await client.say(jobAs(kind, jobId));
  await client.say(prevHash(jobId));
}

/** Acknowledges shares, as many as told. Resolves to the ids of their jobs. */
export async function takeAs(kind: Kind, client: Client, count: number): Promise<readonly number[]> {
  const jobs: number[] = [];
  while (jobs.length < count) {
    const name = kind === "extended" ? "SubmitSharesExtended" : "SubmitSharesStandard";
    const { channelId, sequenceNumber, jobId } = await client.hear(name);
    jobs.push(jobId);
    const counts = { newSubmitsAcceptedCount: 1, newSharesSum: 1n };
    await client.say({ name: "SubmitSharesSuccess", channelId, lastSequenceNumber: sequenceNumber, ...counts });
  }
  return jobs;
}

/** From SetupConnection to two acknowledged shares, as an honest pool has it. */
export async function beginHonestly(kind: Kind, client: Client): Promise<void> {
  await setUp(client);
  await openAs(kind, client);
  await giveWorkAs(kind, client, 1);
  await takeAs(kind, client, 2);
}

/** A device at this pool. */
export const deviceToml = (folder: string, kind: Kind, upstream: string): string => `
protocol = "sv2"
channel = "${kind}"
${upstream}
user_identity = "e2e.device"
hashrate_limit = 3000
nominal_hashrate = 3000
[iroh]
secret_key_path = "${folder}/iroh.key"
relay = "disabled"
bind = ["127.0.0.1:0"]
`;
