import { targetFromBits } from "@adit/bitcoin";
import { describe, expect, test } from "vitest";
import { stopgapTemplate } from "./stopgap-template.ts";
import { hashOf, nodeHeader, nodeTemplate, nodeTransaction } from "./testing/node-events.ts";

const CUR_TIME = 1_800_000_042;
const last = nodeTemplate({
  version: 0x20000004,
  transactions: [nodeTransaction(1)],
  witnessCommitment: Uint8Array.of(0x6a),
  weightLimit: 3_900_000,
  longPollId: "former",
});

describe("a stopgap template", () => {
  test("builds on the header, with the version and limits of the template before and nothing else of it", () => {
    const header = nodeHeader(149, { bits: 0x1f00ffff, medianTimePast: 1_799_999_990 });
    expect(stopgapTemplate(header, { network: "regtest", last, curTime: CUR_TIME })).toEqual({
      version: 0x20000004,
      prevHash: hashOf(149),
      height: 150,
      bits: 0x1f00ffff,
      target: targetFromBits(0x1f00ffff),
      minTime: 1_799_999_991,
      curTime: CUR_TIME,
      // Regtest halves at 150.
      coinbaseValue: 2_500_000_000n,
      transactions: [],
      witnessCommitment: undefined,
      weightLimit: 3_900_000,
      sigopsLimit: 80_000,
      longPollId: undefined,
    });
  });

  test.each([
    ["mainnet", 2_014, true],
    ["mainnet", 2_015, false],
    ["mainnet", 2_016, true],
    ["signet", 4_031, false],
    ["regtest", 2_015, true],
    ["testnet4", 100, false],
  ] as const)("on %s after block %i: %s, for the next block's target may be another", (network, height, isMade) => {
    const made = stopgapTemplate(nodeHeader(height), { network, last, curTime: CUR_TIME });
    expect(made?.height).toBe(isMade ? height + 1 : undefined);
  });

  test("is not made when the node does not tell the median time past", () => {
    const header = nodeHeader(101, { medianTimePast: undefined });
    expect(stopgapTemplate(header, { network: "regtest", last, curTime: CUR_TIME })).toBeUndefined();
  });
});
