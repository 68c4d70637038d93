import { B0_16M, B0_64K, B0_255, BOOL, SEQ0_64K, SEQ0_255, STR0_255, U16, U32, U64, U256 } from "../fields.ts";
import { defineMessages, type MessageOf } from "../message-set.ts";

/** Messages of the Template Distribution Protocol (spec chapter 7). */
export const templateDistribution = defineMessages(0, {
  CoinbaseOutputConstraints: {
    type: 0x70,
    channel: false,
    section: "7.1",
    sender: "client",
    fields: { coinbaseOutputMaxAdditionalSize: U32, coinbaseOutputMaxAdditionalSigops: U16 },
  },
  NewTemplate: {
    type: 0x71,
    channel: false,
    section: "7.2",
    sender: "server",
    fields: {
      templateId: U64,
      futureTemplate: BOOL,
      version: U32,
      coinbaseTxVersion: U32,
      coinbasePrefix: B0_255,
      coinbaseTxInputSequence: U32,
      coinbaseTxValueRemaining: U64,
      coinbaseTxOutputsCount: U32,
      coinbaseTxOutputs: B0_64K,
      coinbaseTxLocktime: U32,
      merklePath: SEQ0_255(U256),
    },
  },
  SetNewPrevHash: {
    type: 0x72,
    channel: false,
    section: "7.3",
    sender: "server",
    fields: { templateId: U64, prevHash: U256, headerTimestamp: U32, nBits: U32, target: U256 },
  },
  RequestTransactionData: {
    type: 0x73,
    channel: false,
    section: "7.4",
    sender: "client",
    fields: { templateId: U64 },
  },
  RequestTransactionDataSuccess: {
    type: 0x74,
    channel: false,
    section: "7.5",
    sender: "server",
    fields: { templateId: U64, excessData: B0_64K, transactionList: SEQ0_64K(B0_16M) },
  },
  RequestTransactionDataError: {
    type: 0x75,
    channel: false,
    section: "7.6",
    sender: "server",
    fields: { templateId: U64, errorCode: STR0_255 },
  },
  SubmitSolution: {
    type: 0x76,
    channel: false,
    section: "7.7",
    sender: "client",
    fields: { templateId: U64, version: U32, headerTimestamp: U32, headerNonce: U32, coinbaseTx: B0_64K },
  },
});

/** Any message of the Template Distribution Protocol. */
export type TemplateDistributionMessage = MessageOf<typeof templateDistribution>;
/** `CoinbaseOutputConstraints`, spec 7.1. */
export type CoinbaseOutputConstraints = MessageOf<typeof templateDistribution, "CoinbaseOutputConstraints">;
/** `NewTemplate`, spec 7.2. */
export type NewTemplate = MessageOf<typeof templateDistribution, "NewTemplate">;
/** `SetNewPrevHash`, spec 7.3. */
export type TemplateSetNewPrevHash = MessageOf<typeof templateDistribution, "SetNewPrevHash">;
/** `RequestTransactionData`, spec 7.4. */
export type RequestTransactionData = MessageOf<typeof templateDistribution, "RequestTransactionData">;
/** `RequestTransactionData.Success`, spec 7.5. */
export type RequestTransactionDataSuccess = MessageOf<typeof templateDistribution, "RequestTransactionDataSuccess">;
/** `RequestTransactionData.Error`, spec 7.6. */
export type RequestTransactionDataError = MessageOf<typeof templateDistribution, "RequestTransactionDataError">;
/** `SubmitSolution`, spec 7.7. */
export type SubmitSolution = MessageOf<typeof templateDistribution, "SubmitSolution">;
