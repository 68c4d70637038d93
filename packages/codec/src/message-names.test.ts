import { describe, expect, test } from "vitest";
import { common, MAX_PAYLOAD, maxPayloadOf, messageNames, messageSets, mining, specName } from "./index.ts";

/** Typed by hand from spec chapter 8 and extension 0x0001 section 3: name, number, channel bit. */
const chapter8: Readonly<Record<keyof typeof messageSets, readonly (readonly [string, number, 0 | 1])[]>> = {
  common: [
    ["SetupConnection", 0x00, 0],
    ["SetupConnection.Success", 0x01, 0],
    ["SetupConnection.Error", 0x02, 0],
    ["ChannelEndpointChanged", 0x03, 1],
    ["Reconnect", 0x04, 0],
  ],
  mining: [
    ["OpenStandardMiningChannel", 0x10, 0],
    ["OpenStandardMiningChannel.Success", 0x11, 0],
    ["OpenMiningChannel.Error", 0x12, 0],
    ["OpenExtendedMiningChannel", 0x13, 0],
    ["OpenExtendedMiningChannel.Success", 0x14, 0],
    ["NewMiningJob", 0x15, 1],
    ["UpdateChannel", 0x16, 1],
    ["UpdateChannel.Error", 0x17, 1],
    ["CloseChannel", 0x18, 1],
    ["SetExtranoncePrefix", 0x19, 1],
    ["SubmitSharesStandard", 0x1a, 1],
    ["SubmitSharesExtended", 0x1b, 1],
    ["SubmitShares.Success", 0x1c, 1],
    ["SubmitShares.Error", 0x1d, 1],
    // 0x1e is reserved
    ["NewExtendedMiningJob", 0x1f, 1],
    ["SetNewPrevHash", 0x20, 1],
    ["SetTarget", 0x21, 1],
    ["SetCustomMiningJob", 0x22, 1],
    ["SetCustomMiningJob.Success", 0x23, 1],
    ["SetCustomMiningJob.Error", 0x24, 1],
    ["SetGroupChannel", 0x25, 0],
  ],
  job_declaration: [
    ["AllocateMiningJobToken", 0x50, 0],
    ["AllocateMiningJobToken.Success", 0x51, 0],
    // 0x52 to 0x54 are not used
    ["ProvideMissingTransactions", 0x55, 0],
    ["ProvideMissingTransactions.Success", 0x56, 0],
    ["DeclareMiningJob", 0x57, 0],
    ["DeclareMiningJob.Success", 0x58, 0],
    ["DeclareMiningJob.Error", 0x59, 0],
    // 0x5a to 0x5f are not used
    ["PushSolution", 0x60, 0],
  ],
  template_distribution: [
    ["CoinbaseOutputConstraints", 0x70, 0],
    ["NewTemplate", 0x71, 0],
    ["SetNewPrevHash", 0x72, 0],
    ["RequestTransactionData", 0x73, 0],
    ["RequestTransactionData.Success", 0x74, 0],
    ["RequestTransactionData.Error", 0x75, 0],
    ["SubmitSolution", 0x76, 0],
  ],
  extensions_negotiation: [
    ["RequestExtensions", 0x00, 0],
    ["RequestExtensions.Success", 0x01, 0],
    ["RequestExtensions.Error", 0x02, 0],
  ],
};

describe("the table of messages", () => {
  test("is chapter 8 of the specification, nothing more and nothing less", () => {
    const expected = Object.entries(chapter8).flatMap(([protocol, messages]) =>
      messages.map(([name, type, channel]) => ({
        protocol,
        name,
        type,
        extensionType: protocol === "extensions_negotiation" ? 1 : 0,
        channel: channel === 1,
      })),
    );
    expect(messageNames).toEqual(expected);
  });

  test("gives no number to two messages of one extension", () => {
    const numbers = messageNames.map(({ extensionType, type }) => `${extensionType}:${type}`);
    expect(new Set(numbers).size).toBe(numbers.length);
  });

  test("starts every channel message with the channel id", () => {
    const firstFields = Object.values(messageSets)
      .flatMap(({ rows }) => Object.values(rows))
      .filter((row) => row.channel)
      .map((row) => Object.entries(row.fields)[0]?.map((part) => (typeof part === "string" ? part : part.spec)));
    expect(firstFields).toEqual(firstFields.map(() => ["channelId", "U32"]));
  });
});

describe("the largest payload of a message", () => {
  test.each([
    ["SetupConnection", 1_291],
    ["SetCustomMiningJob", 74_274],
    ["SubmitSharesExtended", 57],
    ["DeclareMiningJob", 2_293_997],
    ["CoinbaseOutputConstraints", 6],
    ["SubmitSolution", 65_557],
    ["RequestTransactionDataSuccess", MAX_PAYLOAD],
  ] as const)("%s takes at most %i bytes", (name, bytes) => {
    expect(maxPayloadOf(name)).toBe(bytes);
  });

  test("is that of the larger SetNewPrevHash when the name means two messages", () => {
    expect([mining.rows.SetNewPrevHash.maxSize, maxPayloadOf("SetNewPrevHash")]).toEqual([48, 80]);
  });

  test("is also in the message's row", () => {
    expect(common.rows.SetupConnection.maxSize).toBe(maxPayloadOf("SetupConnection"));
  });
});

test("field names turn back into the specification's spelling", () => {
  expect(["channelId", "nBits", "nbits", "coinbaseTxInputNSequence", "ntime"].map(specName)).toEqual([
    "channel_id",
    "nBits",
    "nbits",
    "coinbase_tx_input_nSequence",
    "ntime",
  ]);
});
