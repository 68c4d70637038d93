import type { MiningMessage, SubmitSharesExtended } from "@adit/codec";
import type { Script, ServedClient } from "./hostile-server.ts";
import { CHANNEL, grantExtensions, prefixOf, SHARE_TARGET, setUp } from "./pool-script.ts";

type Client = ServedClient<"mining">;
type Asked<N extends MiningMessage["name"]> = Extract<MiningMessage, { readonly name: N }>;
type Answer<N extends MiningMessage["name"]> = (client: Client, message: Asked<N>) => Promise<void>;

/** What a scripted pool does about each message of a client that sets its own jobs. Those without an answer get none. */
export type PoolAnswers = { readonly [N in MiningMessage["name"]]?: Answer<N> };

/** Opens the channel that is asked for, with twelve bytes to roll behind a prefix of eight, unless changed. */
export function openChannel(
  changes: Partial<Asked<"OpenExtendedMiningChannelSuccess">> = {},
): Answer<"OpenExtendedMiningChannel"> {
  return async (client, { requestId }) => {
    await client.say({
      name: "OpenExtendedMiningChannelSuccess",
      requestId,
      channelId: CHANNEL,
      target: SHARE_TARGET,
      extranonceSize: 12,
      extranoncePrefix: prefixOf(8),
      groupChannelId: 100,
      ...changes,
    });
  };
}

/** Takes a job, under a number of its own unless told. */
export function takeJob(jobId?: number): Answer<"SetCustomMiningJob"> {
  return async (client, { channelId, requestId }) => {
    await client.say({ name: "SetCustomMiningJobSuccess", channelId, requestId, jobId: jobId ?? 1000 + requestId });
  };
}

/** Refuses a share. */
export function refuseShare(errorCode: string): Answer<"SubmitSharesExtended"> {
  return async (client, { channelId, sequenceNumber }) => {
    await client.say({ name: "SubmitSharesError", channelId, sequenceNumber, errorCode });
  };
}

async function credit(client: Client, { channelId, sequenceNumber }: SubmitSharesExtended): Promise<void> {
  await client.say({
    name: "SubmitSharesSuccess",
    channelId,
    lastSequenceNumber: sequenceNumber,
    newSubmitsAcceptedCount: 1,
    newSharesSum: 1n,
  });
}

const honest: PoolAnswers = {
  OpenExtendedMiningChannel: openChannel(),
  SetCustomMiningJob: takeJob(),
  SubmitSharesExtended: credit,
};

/** Sets the connection up, takes every job and credits every share until the client leaves, but for `answers`. */
export function servingWork(answers: PoolAnswers = {}): Script<"mining"> {
  const all: PoolAnswers = { ...honest, ...answers };
  return async (client) => {
    await setUp(client);
    await grantExtensions(client);
    for (let message = await client.next(); message !== undefined; message = await client.next()) {
      // The name tells the answer's type, which the compiler cannot follow.
      const answer = all[message.name as keyof PoolAnswers] as
        | ((client: Client, message: unknown) => Promise<void>)
        | undefined;
      await answer?.(client, message);
    }
  };
}
