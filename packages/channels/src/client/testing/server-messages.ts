import type { MiningMessage } from "@adit/codec";
import { u256 } from "@adit/codec";

/** The messages of a server, each with only the fields that tests tell apart. */
export const say = {
  open: (channelId: number, groupChannelId: number, requestId: number = channelId): MiningMessage => ({
    name: "OpenExtendedMiningChannelSuccess",
    requestId,
    channelId,
    target: bytes32(1),
    extranonceSize: 8,
    extranoncePrefix: Uint8Array.of(channelId),
    groupChannelId,
  }),
  openStandard: (channelId: number, groupChannelId: number, requestId: number = channelId): MiningMessage => ({
    name: "OpenStandardMiningChannelSuccess",
    requestId,
    channelId,
    target: bytes32(1),
    extranoncePrefix: Uint8Array.of(channelId),
    groupChannelId,
  }),
  job: (channelId: number, jobId: number, minNtime: number | null): MiningMessage => ({
    name: "NewExtendedMiningJob",
    channelId,
    jobId,
    minNtime,
    version: 0x20000000,
    versionRollingAllowed: true,
    merklePath: [bytes32(jobId)],
    coinbaseTxPrefix: Uint8Array.of(1),
    coinbaseTxSuffix: Uint8Array.of(2),
  }),
  standardJob: (channelId: number, jobId: number, minNtime: number | null): MiningMessage => ({
    name: "NewMiningJob",
    channelId,
    jobId,
    minNtime,
    version: 0x20000000,
    merkleRoot: bytes32(jobId),
  }),
  prevHash: (channelId: number, jobId: number, tip: number): MiningMessage => ({
    name: "SetNewPrevHash",
    channelId,
    jobId,
    prevHash: bytes32(tip),
    minNtime: tip,
    nbits: 0x207fffff,
  }),
  target: (channelId: number, value: number): MiningMessage => ({
    name: "SetTarget",
    channelId,
    maximumTarget: bytes32(value),
  }),
  prefix: (channelId: number, value: number): MiningMessage => ({
    name: "SetExtranoncePrefix",
    channelId,
    extranoncePrefix: Uint8Array.of(channelId, value),
  }),
  ack: (channelId: number, lastSequenceNumber: number, count = 1): MiningMessage => ({
    name: "SubmitSharesSuccess",
    channelId,
    lastSequenceNumber,
    newSubmitsAcceptedCount: count,
    newSharesSum: BigInt(count),
  }),
  reject: (channelId: number, sequenceNumber: number, errorCode = "stale-share"): MiningMessage => ({
    name: "SubmitSharesError",
    channelId,
    sequenceNumber,
    errorCode,
  }),
  regroup: (groupChannelId: number, channelIds: readonly number[]): MiningMessage => ({
    name: "SetGroupChannel",
    groupChannelId,
    channelIds,
  }),
  close: (channelId: number): MiningMessage => ({ name: "CloseChannel", channelId, reasonCode: "bye" }),
};

/** A number as 32 bytes, little-endian. */
export function bytes32(value: number): ReturnType<typeof u256> {
  const bytes = new Uint8Array(32);
  new DataView(bytes.buffer).setUint32(0, value, true);
  return u256(bytes);
}
