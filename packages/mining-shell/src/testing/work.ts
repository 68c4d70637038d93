import { bip34Prefix, sha256d, targetFromBits, targetToBytes } from "@adit/bitcoin";
import type { ServerInput } from "@adit/channels";
import { u256 } from "@adit/codec";
import { BLOCK_BITS } from "./template-server.ts";

/** What a template provider says first: a template and the tip it builds on, for a core without one. */
export function firstWork(): readonly Extract<ServerInput, { readonly type: "template" | "prev-hash" }>[] {
  const templateId = 1n;
  return [
    {
      type: "template",
      template: {
        name: "NewTemplate",
        templateId,
        futureTemplate: true,
        version: 0x20000000,
        coinbaseTxVersion: 2,
        coinbasePrefix: bip34Prefix(101),
        coinbaseTxInputSequence: 0xfffffffe,
        coinbaseTxValueRemaining: 5_000_000_000n,
        coinbaseTxOutputsCount: 0,
        coinbaseTxOutputs: new Uint8Array(0),
        coinbaseTxLocktime: 100,
        merklePath: [],
      },
    },
    {
      type: "prev-hash",
      prevHash: {
        name: "SetNewPrevHash",
        templateId,
        prevHash: u256(sha256d(Uint8Array.of(1))),
        headerTimestamp: Math.floor(Date.now() / 1000),
        nBits: BLOCK_BITS,
        target: u256(targetToBytes(targetFromBits(BLOCK_BITS))),
      },
    },
  ];
}
