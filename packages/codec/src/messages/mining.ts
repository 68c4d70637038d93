import {
  B0_32,
  B0_64K,
  B0_255,
  BOOL,
  F32,
  OPTION,
  SEQ0_64K,
  SEQ0_255,
  STR0_255,
  U16,
  U32,
  U64,
  U256,
} from "../fields.ts";
import { defineMessages, type MessageOf } from "../message-set.ts";

/** Messages of the Mining Protocol (spec 5.3). */
export const mining = defineMessages(0, {
  OpenStandardMiningChannel: {
    type: 0x10,
    channel: false,
    section: "5.3.2",
    sender: "client",
    fields: { requestId: U32, userIdentity: STR0_255, nominalHashRate: F32, maxTarget: U256 },
  },
  OpenStandardMiningChannelSuccess: {
    type: 0x11,
    channel: false,
    section: "5.3.3",
    sender: "server",
    fields: { requestId: U32, channelId: U32, target: U256, extranoncePrefix: B0_32, groupChannelId: U32 },
  },
  OpenMiningChannelError: {
    type: 0x12,
    channel: false,
    section: "5.3.6",
    sender: "server",
    fields: { requestId: U32, errorCode: STR0_255 },
  },
  OpenExtendedMiningChannel: {
    type: 0x13,
    channel: false,
    section: "5.3.4",
    sender: "client",
    fields: { requestId: U32, userIdentity: STR0_255, nominalHashRate: F32, maxTarget: U256, minExtranonceSize: U16 },
  },
  OpenExtendedMiningChannelSuccess: {
    type: 0x14,
    channel: false,
    section: "5.3.5",
    sender: "server",
    fields: {
      requestId: U32,
      channelId: U32,
      target: U256,
      extranonceSize: U16,
      extranoncePrefix: B0_32,
      groupChannelId: U32,
    },
  },
  NewMiningJob: {
    type: 0x15,
    channel: true,
    section: "5.3.15",
    sender: "server",
    fields: { channelId: U32, jobId: U32, minNtime: OPTION(U32), version: U32, merkleRoot: U256 },
  },
  UpdateChannel: {
    type: 0x16,
    channel: true,
    section: "5.3.7",
    sender: "client",
    fields: { channelId: U32, nominalHashRate: F32, maximumTarget: U256 },
  },
  UpdateChannelError: {
    type: 0x17,
    channel: true,
    section: "5.3.8",
    sender: "server",
    fields: { channelId: U32, errorCode: STR0_255 },
  },
  CloseChannel: {
    type: 0x18,
    channel: true,
    section: "5.3.9",
    sender: "both",
    fields: { channelId: U32, reasonCode: STR0_255 },
  },
  SetExtranoncePrefix: {
    type: 0x19,
    channel: true,
    section: "5.3.10",
    sender: "server",
    fields: { channelId: U32, extranoncePrefix: B0_32 },
  },
  SubmitSharesStandard: {
    type: 0x1a,
    channel: true,
    section: "5.3.11",
    sender: "client",
    fields: { channelId: U32, sequenceNumber: U32, jobId: U32, nonce: U32, ntime: U32, version: U32 },
  },
  SubmitSharesExtended: {
    type: 0x1b,
    channel: true,
    section: "5.3.12",
    sender: "client",
    fields: {
      channelId: U32,
      sequenceNumber: U32,
      jobId: U32,
      nonce: U32,
      ntime: U32,
      version: U32,
      extranonce: B0_32,
    },
  },
  SubmitSharesSuccess: {
    type: 0x1c,
    channel: true,
    section: "5.3.13",
    sender: "server",
    fields: { channelId: U32, lastSequenceNumber: U32, newSubmitsAcceptedCount: U32, newSharesSum: U64 },
  },
  SubmitSharesError: {
    type: 0x1d,
    channel: true,
    section: "5.3.14",
    sender: "server",
    fields: { channelId: U32, sequenceNumber: U32, errorCode: STR0_255 },
  },
  NewExtendedMiningJob: {
    type: 0x1f,
    channel: true,
    section: "5.3.16",
    sender: "server",
    fields: {
      channelId: U32,
      jobId: U32,
      minNtime: OPTION(U32),
      version: U32,
      versionRollingAllowed: BOOL,
      merklePath: SEQ0_255(U256),
      coinbaseTxPrefix: B0_64K,
      coinbaseTxSuffix: B0_64K,
    },
  },
  SetNewPrevHash: {
    type: 0x20,
    channel: true,
    section: "5.3.17",
    sender: "server",
    fields: { channelId: U32, jobId: U32, prevHash: U256, minNtime: U32, nbits: U32 },
  },
  SetTarget: {
    type: 0x21,
    channel: true,
    section: "5.3.21",
    sender: "server",
    fields: { channelId: U32, maximumTarget: U256 },
  },
  SetCustomMiningJob: {
    type: 0x22,
    channel: true,
    section: "5.3.18",
    sender: "client",
    fields: {
      channelId: U32,
      requestId: U32,
      miningJobToken: B0_255,
      version: U32,
      prevHash: U256,
      minNtime: U32,
      nbits: U32,
      coinbaseTxVersion: U32,
      coinbasePrefix: B0_255,
      coinbaseTxInputNSequence: U32,
      coinbaseTxOutputs: B0_64K,
      coinbaseTxLocktime: U32,
      merklePath: SEQ0_255(U256),
    },
  },
  SetCustomMiningJobSuccess: {
    type: 0x23,
    channel: true,
    section: "5.3.19",
    sender: "server",
    fields: { channelId: U32, requestId: U32, jobId: U32 },
  },
  SetCustomMiningJobError: {
    type: 0x24,
    channel: true,
    section: "5.3.20",
    sender: "server",
    fields: { channelId: U32, requestId: U32, errorCode: STR0_255 },
  },
  SetGroupChannel: {
    type: 0x25,
    channel: false,
    section: "5.3.22",
    sender: "server",
    fields: { groupChannelId: U32, channelIds: SEQ0_64K(U32) },
  },
});

/** Any message of the Mining Protocol. */
export type MiningMessage = MessageOf<typeof mining>;
/** `OpenStandardMiningChannel`, spec 5.3.2. */
export type OpenStandardMiningChannel = MessageOf<typeof mining, "OpenStandardMiningChannel">;
/** `OpenStandardMiningChannel.Success`, spec 5.3.3. */
export type OpenStandardMiningChannelSuccess = MessageOf<typeof mining, "OpenStandardMiningChannelSuccess">;
/** `OpenMiningChannel.Error`, spec 5.3.6. */
export type OpenMiningChannelError = MessageOf<typeof mining, "OpenMiningChannelError">;
/** `OpenExtendedMiningChannel`, spec 5.3.4. */
export type OpenExtendedMiningChannel = MessageOf<typeof mining, "OpenExtendedMiningChannel">;
/** `OpenExtendedMiningChannel.Success`, spec 5.3.5. */
export type OpenExtendedMiningChannelSuccess = MessageOf<typeof mining, "OpenExtendedMiningChannelSuccess">;
/** `NewMiningJob`, spec 5.3.15. */
export type NewMiningJob = MessageOf<typeof mining, "NewMiningJob">;
/** `UpdateChannel`, spec 5.3.7. */
export type UpdateChannel = MessageOf<typeof mining, "UpdateChannel">;
/** `UpdateChannel.Error`, spec 5.3.8. */
export type UpdateChannelError = MessageOf<typeof mining, "UpdateChannelError">;
/** `CloseChannel`, spec 5.3.9. */
export type CloseChannel = MessageOf<typeof mining, "CloseChannel">;
/** `SetExtranoncePrefix`, spec 5.3.10. */
export type SetExtranoncePrefix = MessageOf<typeof mining, "SetExtranoncePrefix">;
/** `SubmitSharesStandard`, spec 5.3.11. */
export type SubmitSharesStandard = MessageOf<typeof mining, "SubmitSharesStandard">;
/** `SubmitSharesExtended`, spec 5.3.12. */
export type SubmitSharesExtended = MessageOf<typeof mining, "SubmitSharesExtended">;
/** `SubmitShares.Success`, spec 5.3.13. */
export type SubmitSharesSuccess = MessageOf<typeof mining, "SubmitSharesSuccess">;
/** `SubmitShares.Error`, spec 5.3.14. */
export type SubmitSharesError = MessageOf<typeof mining, "SubmitSharesError">;
/** `NewExtendedMiningJob`, spec 5.3.16. */
export type NewExtendedMiningJob = MessageOf<typeof mining, "NewExtendedMiningJob">;
/** `SetNewPrevHash`, spec 5.3.17. */
export type SetNewPrevHash = MessageOf<typeof mining, "SetNewPrevHash">;
/** `SetTarget`, spec 5.3.21. */
export type SetTarget = MessageOf<typeof mining, "SetTarget">;
/** `SetCustomMiningJob`, spec 5.3.18. */
export type SetCustomMiningJob = MessageOf<typeof mining, "SetCustomMiningJob">;
/** `SetCustomMiningJob.Success`, spec 5.3.19. */
export type SetCustomMiningJobSuccess = MessageOf<typeof mining, "SetCustomMiningJobSuccess">;
/** `SetCustomMiningJob.Error`, spec 5.3.20. */
export type SetCustomMiningJobError = MessageOf<typeof mining, "SetCustomMiningJobError">;
/** `SetGroupChannel`, spec 5.3.22. */
export type SetGroupChannel = MessageOf<typeof mining, "SetGroupChannel">;
