import type { JobDeclarationMessage, MiningMessage } from "@adit/codec";
import fc from "fast-check";
import { Random } from "../harness/random.ts";
import { subjects } from "../interop/codec-peer.ts";
import { randomMessage } from "../interop/random-messages.ts";

/** Fields that name something else; few values, so that messages meet. */
const IDS = new Set(["channelId", "groupChannelId", "jobId", "requestId", "sequenceNumber", "lastSequenceNumber"]);
const FEW = 7;

/** Which message of a sub-protocol, and what its values follow from. */
export interface MessageSeed {
  readonly seed: number;
  readonly which: number;
}

type Sender = "client" | "server";

/** Where in the tables the messages of a sub-protocol are. */
function indexesOf(protocol: "mining" | "job_declaration"): readonly number[] {
  return subjects.flatMap((subject, index) => (subject.protocol === protocol ? [index] : []));
}

const mining = indexesOf("mining");
const declaration = indexesOf("job_declaration");

/** A message of the mining protocol with any values at all, but mostly small ids. */
export function miningMessage(seed: MessageSeed): MiningMessage {
  return messageOf(mining, seed) as unknown as MiningMessage;
}

/** The same of the job declaration protocol. */
export function declarationMessage(seed: MessageSeed): JobDeclarationMessage {
  return messageOf(declaration, seed) as unknown as JobDeclarationMessage;
}

/** Which message of the mining protocol: mostly one that `sender` sends, now and then one that only the other side may. */
export function messageSeed(sender: Sender): fc.Arbitrary<MessageSeed> {
  return seedOf(mining, sender);
}

/** The same of the job declaration protocol. */
export function declarationSeed(sender: Sender): fc.Arbitrary<MessageSeed> {
  return seedOf(declaration, sender);
}

function messageOf(indexes: readonly number[], { seed, which }: MessageSeed): Record<string, unknown> {
  const random = new Random(seed, which, true);
  const { message } = randomMessage(random, indexes[which % indexes.length] ?? 0);
  const entries = Object.entries(message).map(([key, value]): [string, unknown] => {
    if (IDS.has(key) && !random.oneIn(10)) return [key, random.upTo(FEW)];
    if (key === "channelIds") return [key, (value as number[]).map(() => random.upTo(FEW))];
    return [key, value];
  });
  return Object.fromEntries(entries);
}

function seedOf(indexes: readonly number[], sender: Sender): fc.Arbitrary<MessageSeed> {
  const own = indexes.flatMap((at, which) => (subjects[at]?.row.sender === sender ? [which] : []));
  const which = fc.oneof(
    { weight: 12, arbitrary: fc.constantFrom(...own) },
    { weight: 1, arbitrary: fc.nat(indexes.length - 1) },
  );
  return fc.record({ seed: fc.nat(0xffff_ffff), which });
}
