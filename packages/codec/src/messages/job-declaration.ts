import { B0_16M, B0_32, B0_64K, B0_255, SEQ0_64K, STR0_255, U16, U32, U256 } from "../fields.ts";
import { defineMessages, type MessageOf } from "../message-set.ts";

/** Messages of the Job Declaration Protocol (spec 6.4). */
export const jobDeclaration = defineMessages(0, {
  AllocateMiningJobToken: {
    type: 0x50,
    channel: false,
    section: "6.4.2",
    sender: "client",
    fields: { userIdentifier: STR0_255, requestId: U32 },
  },
  AllocateMiningJobTokenSuccess: {
    type: 0x51,
    channel: false,
    section: "6.4.3",
    sender: "server",
    fields: { requestId: U32, miningJobToken: B0_255, coinbaseTxOutputs: B0_64K },
  },
  ProvideMissingTransactions: {
    type: 0x55,
    channel: false,
    section: "6.4.7",
    sender: "server",
    fields: { requestId: U32, unknownTxPositionList: SEQ0_64K(U16) },
  },
  ProvideMissingTransactionsSuccess: {
    type: 0x56,
    channel: false,
    section: "6.4.8",
    sender: "client",
    fields: { requestId: U32, transactionList: SEQ0_64K(B0_16M) },
  },
  DeclareMiningJob: {
    type: 0x57,
    channel: false,
    section: "6.4.4",
    sender: "client",
    fields: {
      requestId: U32,
      miningJobToken: B0_255,
      version: U32,
      coinbaseTxPrefix: B0_64K,
      coinbaseTxSuffix: B0_64K,
      wtxidList: SEQ0_64K(U256),
      excessData: B0_64K,
    },
  },
  DeclareMiningJobSuccess: {
    type: 0x58,
    channel: false,
    section: "6.4.5",
    sender: "server",
    fields: { requestId: U32, newMiningJobToken: B0_255 },
  },
  DeclareMiningJobError: {
    type: 0x59,
    channel: false,
    section: "6.4.6",
    sender: "server",
    fields: { requestId: U32, errorCode: STR0_255, errorDetails: B0_64K },
  },
  PushSolution: {
    type: 0x60,
    channel: false,
    section: "6.4.9",
    sender: "client",
    fields: { extranonce: B0_32, prevHash: U256, nonce: U32, ntime: U32, nbits: U32, version: U32 },
  },
});

/** Any message of the Job Declaration Protocol. */
export type JobDeclarationMessage = MessageOf<typeof jobDeclaration>;
/** `AllocateMiningJobToken`, spec 6.4.2. */
export type AllocateMiningJobToken = MessageOf<typeof jobDeclaration, "AllocateMiningJobToken">;
/** `AllocateMiningJobToken.Success`, spec 6.4.3. */
export type AllocateMiningJobTokenSuccess = MessageOf<typeof jobDeclaration, "AllocateMiningJobTokenSuccess">;
/** `ProvideMissingTransactions`, spec 6.4.7. */
export type ProvideMissingTransactions = MessageOf<typeof jobDeclaration, "ProvideMissingTransactions">;
/** `ProvideMissingTransactions.Success`, spec 6.4.8. */
export type ProvideMissingTransactionsSuccess = MessageOf<typeof jobDeclaration, "ProvideMissingTransactionsSuccess">;
/** `DeclareMiningJob`, spec 6.4.4. */
export type DeclareMiningJob = MessageOf<typeof jobDeclaration, "DeclareMiningJob">;
/** `DeclareMiningJob.Success`, spec 6.4.5. */
export type DeclareMiningJobSuccess = MessageOf<typeof jobDeclaration, "DeclareMiningJobSuccess">;
/** `DeclareMiningJob.Error`, spec 6.4.6. */
export type DeclareMiningJobError = MessageOf<typeof jobDeclaration, "DeclareMiningJobError">;
/** `PushSolution`, spec 6.4.9. */
export type PushSolution = MessageOf<typeof jobDeclaration, "PushSolution">;
