import type { MiningMessage } from "@adit/codec";
import fc from "fast-check";
import { Random } from "../harness/random.ts";
import { subjects } from "../interop/codec-peer.ts";
import { randomMessage } from "../interop/random-messages.ts";

/** Where in the tables the mining messages are. */
const indexes = subjects.flatMap(({ protocol }, index) => (protocol === "mining" ? [index] : []));
/** Fields that name something else; few values, so that messages meet. */
const IDS = new Set(["channelId", "groupChannelId", "jobId", "requestId", "sequenceNumber", "lastSequenceNumber"]);
const FEW = 7;

/** Which message of the mining protocol, and what its values follow from. */
export interface MessageSeed {
  readonly seed: number;
  readonly which: number;
}

/** A message of the mining protocol with any values at all, but mostly small ids. */
export function miningMessage({ seed, which }: MessageSeed): MiningMessage {
  const random = new Random(seed, which, true);
  const { message } = randomMessage(random, indexes[which % indexes.length] ?? 0);
  const entries = Object.entries(message).map(([key, value]): [string, unknown] => {
    if (IDS.has(key) && !random.oneIn(10)) return [key, random.upTo(FEW)];
    if (key === "channelIds") return [key, (value as number[]).map(() => random.upTo(FEW))];
    return [key, value];
  });
  return Object.fromEntries(entries) as unknown as MiningMessage;
}

/** Which message: mostly one that `sender` sends, now and then one that only the other side may. */
export function messageSeed(sender: "client" | "server"): fc.Arbitrary<MessageSeed> {
  const own = indexes.flatMap((at, which) => (subjects[at]?.row.sender === sender ? [which] : []));
  const which = fc.oneof(
    { weight: 12, arbitrary: fc.constantFrom(...own) },
    { weight: 1, arbitrary: fc.nat(indexes.length - 1) },
  );
  return fc.record({ seed: fc.nat(0xffff_ffff), which });
}
