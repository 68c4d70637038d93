import {
  buildCoinbase,
  decodeTransaction,
  encodeHeader,
  encodeOutputs,
  hex,
  MAX_TARGET,
  restoreWitness,
  targetToBytes,
} from "@adit/bitcoin";
import { type ActivatedJob, coinbaseOf, type FoundBlock } from "@adit/channels";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { customJob, declaredCoinbase, solutionOf } from "./declared-work.ts";
import { bytes32, template } from "./testing/templates.ts";

const spec = fc.record({
  txVersion: fc.nat(0xffffffff),
  scriptSigPrefix: fc.uint8Array({ maxLength: 8 }),
  tag: fc.constantFrom("", "miner"),
  extranonceSize: fc.integer({ min: 1, max: 32 }),
  inputSequence: fc.nat(0xffffffff),
  outputs: fc.array(fc.record({ value: fc.bigInt(0n, 10n ** 15n), script: fc.uint8Array({ maxLength: 40 }) }), {
    minLength: 1,
    maxLength: 260,
  }),
  locktime: fc.nat(0xffffffff),
});

function jobOf(coinbase: ReturnType<typeof buildCoinbase>): ActivatedJob {
  return {
    id: 1,
    workId: 1,
    origin: { kind: "template", templateId: 1n, height: 1, template: template(1n, 0) },
    version: 0x20000000,
    versionRollingAllowed: true,
    coinbaseTxPrefix: coinbase.prefix,
    coinbaseTxSuffix: coinbase.suffix,
    merklePath: [bytes32(1)],
    tip: {
      prevHash: bytes32(2) as unknown as ActivatedJob["tip"]["prevHash"],
      ntime: 5,
      nbits: 0x207fffff,
      networkTarget: targetToBytes(MAX_TARGET),
      since: 0,
    },
    minNtime: 6,
    serial: 1,
  };
}

describe("a job on its way to the pool", () => {
  test("has every field of the coinbase that miners hash", () => {
    fc.assert(
      fc.property(spec, (fields) => {
        const parts = buildCoinbase({ ...fields, templateOutputs: new Uint8Array(), templateOutputsCount: 0 });
        const job = jobOf(parts);
        const told = customJob(job);
        const extranonce = new Uint8Array(fields.extranonceSize).fill(0xee);
        const mined = decodeTransaction(coinbaseOf(job, extranonce, new Uint8Array()));
        expect(told).toMatchObject({
          version: job.version,
          minNtime: 6,
          nbits: 0x207fffff,
          merklePath: job.merklePath,
        });
        expect([told.coinbaseTxVersion, told.coinbaseTxInputNSequence, told.coinbaseTxLocktime]).toEqual([
          mined.version,
          mined.inputs[0]?.sequence,
          mined.locktime,
        ]);
        expect(hex(mined.inputs[0]!.script)).toBe(hex(told.coinbasePrefix) + hex(extranonce));
        expect(hex(told.coinbaseTxOutputs).endsWith(hex(encodeOutputs(mined.outputs)))).toBe(true);
      }),
    );
  });

  test("is declared with the witness that jobs are stripped of", () => {
    fc.assert(
      fc.property(spec, (fields) => {
        const parts = buildCoinbase({ ...fields, templateOutputs: new Uint8Array(), templateOutputsCount: 0 });
        const job = jobOf(parts);
        const extranonce = new Uint8Array(fields.extranonceSize).fill(0xee);
        const { coinbaseTxPrefix, coinbaseTxSuffix } = declaredCoinbase(job);
        const declared = hex(coinbaseTxPrefix) + hex(extranonce) + hex(coinbaseTxSuffix);
        expect(declared).toBe(hex(restoreWitness(coinbaseOf(job, extranonce, new Uint8Array()))));
      }),
    );
  });
});

test("a solution is the header's fields and the whole extranonce", () => {
  const fields = { version: 3, prevHash: bytes32(1), merkleRoot: bytes32(2), ntime: 4, nbits: 0x207fffff, nonce: 6 };
  const header = encodeHeader(fields);
  const extranonce = Uint8Array.of(7, 8);
  const { merkleRoot: _, ...told } = fields;
  expect(solutionOf({ header, extranonce } as FoundBlock)).toEqual({ name: "PushSolution", extranonce, ...told });
});
