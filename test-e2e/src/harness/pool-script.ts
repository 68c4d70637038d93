import { bip34Prefix, buildCoinbase, encodeHeader, pureHashing, sha256d } from "@adit/bitcoin";
import {
  type NewExtendedMiningJob,
  type OpenExtendedMiningChannelSuccess,
  type SetNewPrevHash,
  type SubmitSharesExtended,
  u256,
} from "@adit/codec";
import type { Script, ServedClient } from "./hostile-server.ts";

type MiningClient = ServedClient<"mining">;

/** Every hash meets it. */
export const ANY_TARGET: ReturnType<typeof u256> = u256(new Uint8Array(32).fill(0xff));
/** One hash in 256 meets it: those that end in a zero. */
export const SHARE_TARGET: ReturnType<typeof u256> = u256(new Uint8Array(32).fill(0xff, 0, 31));
/** What scripts open channels as. */
export const CHANNEL = 1;
const ROLLABLE = 12;
const NBITS = 0x1d00ffff;

/** Answers SetupConnection, and grants the extensions that are asked for. */
export async function setUp(client: MiningClient, flags = 0): Promise<void> {
  await client.hear("SetupConnection");
  await client.say({ name: "SetupConnectionSuccess", usedVersion: 2, flags });
}

/** A wrong answer to SetupConnection, and what a client says of it. */
export const wrongVersion: readonly [Script<"mining">, RegExp] = [
  async (client) => {
    await client.hear("SetupConnection");
    await client.say({ name: "SetupConnectionSuccess", usedVersion: 3, flags: 0 });
    await client.left();
  },
  /the server chose protocol version 3/,
];

/** Control characters where a reason is expected. */
export const COLOURS: string = "\u001b[31m\n\u0000".repeat(30);

/** {@link COLOURS} for a refusal, and what a client says of it. */
export const colourfulRefusal: readonly [Script<"mining">, RegExp] = [
  async (client) => {
    await client.hear("SetupConnection");
    await client.say({ name: "SetupConnectionError", flags: 0xffffffff, errorCode: COLOURS });
    await client.left();
  },
  /the server refuses the connection/,
];

/** Answers RequestExtensions, which translators send. */
export async function grantExtensions(client: MiningClient): Promise<void> {
  const { requestId, requestedExtensions } = await client.hear("RequestExtensions");
  await client.say({ name: "RequestExtensionsSuccess", requestId, supportedExtensions: requestedExtensions });
}

/** Opens the channel that is asked for, with a prefix of eight bytes unless changed. */
export async function open(
  client: MiningClient,
  changes: Partial<OpenExtendedMiningChannelSuccess> = {},
): Promise<void> {
  const { requestId } = await client.hear("OpenExtendedMiningChannel");
  await client.say({
    name: "OpenExtendedMiningChannelSuccess",
    requestId,
    channelId: CHANNEL,
    target: SHARE_TARGET,
    extranonceSize: ROLLABLE,
    extranoncePrefix: prefixOf(8),
    groupChannelId: 100,
    ...changes,
  });
}

/** An extranonce prefix of this many bytes. */
export function prefixOf(size: number): Uint8Array {
  return new Uint8Array(size).fill(0xab);
}

/** A future job for the channel, right in every respect for a prefix of `prefixSize` bytes unless changed. */
export function job(jobId: number, changes: Partial<NewExtendedMiningJob> = {}, prefixSize = 8): NewExtendedMiningJob {
  const { prefix, suffix } = buildCoinbase({
    txVersion: 2,
    scriptSigPrefix: bip34Prefix(800_000 + (jobId & 0xffff)),
    tag: "hostile",
    extranonceSize: prefixSize + ROLLABLE,
    inputSequence: 0xfffffffe,
    outputs: [{ value: 5_000_000_000n, script: Uint8Array.of(0x51) }],
    templateOutputs: new Uint8Array(0),
    templateOutputsCount: 0,
    locktime: 0,
  });
  return {
    name: "NewExtendedMiningJob",
    channelId: CHANNEL,
    jobId,
    minNtime: null,
    version: 0x20000000,
    versionRollingAllowed: true,
    merklePath: [],
    coinbaseTxPrefix: prefix,
    coinbaseTxSuffix: suffix,
    ...changes,
  };
}

/** The prevhash that makes a job the one to mine. */
export function prevHash(jobId: number, changes: Partial<SetNewPrevHash> = {}): SetNewPrevHash {
  const minNtime = Math.floor(Date.now() / 1000);
  const tip = u256(sha256d(Uint8Array.of(jobId & 0xff, jobId >>> 8)));
  return { name: "SetNewPrevHash", channelId: CHANNEL, jobId, prevHash: tip, minNtime, nbits: NBITS, ...changes };
}

/** A job on a new tip. */
export async function giveWork(client: MiningClient, jobId: number): Promise<void> {
  await client.say(job(jobId));
  await client.say(prevHash(jobId));
}

/** From SetupConnection to a first job, as an honest pool has it. */
export async function beginHonestly(client: MiningClient, flags = 0): Promise<void> {
  await setUp(client, flags);
  await grantExtensions(client);
  await open(client);
  await giveWork(client, 1);
}

/** Acknowledges shares, as many as told. Resolves to them. */
export async function acknowledge(client: MiningClient, count: number): Promise<readonly SubmitSharesExtended[]> {
  const shares: SubmitSharesExtended[] = [];
  while (shares.length < count) {
    const share = await client.hear("SubmitSharesExtended");
    shares.push(share);
    await client.say({
      name: "SubmitSharesSuccess",
      channelId: share.channelId,
      lastSequenceNumber: share.sequenceNumber,
      newSubmitsAcceptedCount: 1,
      newSharesSum: 1n,
    });
  }
  return shares;
}

/** The hash a share has when its job was given with this extranonce prefix. */
export function hashOf(
  share: SubmitSharesExtended,
  { coinbaseTxPrefix, coinbaseTxSuffix }: NewExtendedMiningJob,
  extranoncePrefix: Uint8Array,
): Uint8Array {
  const coinbase = Buffer.concat([coinbaseTxPrefix, extranoncePrefix, share.extranonce, coinbaseTxSuffix]);
  const { version, ntime, nonce, jobId } = share;
  const merkleRoot = pureHashing.merkleRoot(coinbase, []);
  return pureHashing.headerHash(
    encodeHeader({
      version,
      prevHash: sha256d(Uint8Array.of(jobId & 0xff, jobId >>> 8)),
      merkleRoot,
      ntime,
      nbits: NBITS,
      nonce,
    }),
  );
}
