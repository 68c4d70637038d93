import { readFile } from "node:fs/promises";
import { targetFromBits, workOf } from "@adit/bitcoin";
import { configReference, parseConfig } from "@adit/role-kit";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { chainBits, type TemplateProviderConfig } from "./config.ts";
import { templateProviderRole } from "./role.ts";

const base = 'listen_address = "127.0.0.1:0"\nauthority_key_path = "authority.key"\n';
const parse = (text: string): TemplateProviderConfig =>
  parseConfig(templateProviderRole, { text: base + text, file: "test.toml", env: {} });

describe("the config of the template provider", () => {
  test("has defaults for everything but where to listen and whose key it has", () => {
    const { embedded, limits, transport } = parse("");
    expect(transport).toBe("tcp");
    expect(embedded).toEqual({
      dataPath: "embedded-chain",
      hashesPerBlock: 131_072,
      mempoolTransactions: 24,
      templateIntervalSecs: 10,
      blockElsewhereIntervalSecs: 0,
      feeThreshold: 100,
      minInterval: 5,
    });
    expect(limits).toMatchObject({ maxConnections: 64, maxTemplatesPerClient: 128, constraintsTimeoutSecs: 30 });
  });

  test("of the example is valid", async () => {
    const file = new URL("../../../config-examples/template-provider-embedded.toml", import.meta.url);
    const config = parseConfig(templateProviderRole, { text: await readFile(file, "utf8"), file: "example", env: {} });
    expect(config).toMatchObject({ transport: "dual", embedded: { blockElsewhereIntervalSecs: 120 } });
  });

  test("takes single keys from the environment", () => {
    const env = { TP__EMBEDDED__HASHES_PER_BLOCK: "64" };
    const { embedded } = parseConfig(templateProviderRole, { text: base, file: "test.toml", env });
    expect(embedded.hashesPerBlock).toBe(64);
  });

  test.each([
    ['[embedded]\nnbits = "1d00fff"', "embedded.nbits"],
    ['[embedded]\nnbits = "00000000"', "embedded.nbits"],
    ['[embedded]\nnbits = "217fffff"', "embedded.nbits"],
    ["[embedded]\nhashes_per_block = 1", "embedded.hashes_per_block"],
    ["[embedded]\nhashes_per_block = 0", "embedded.hashes_per_block"],
    [
      "[embedded]\nhashes_per_block = 1e9\nblock_elsewhere_interval_secs = 60",
      "embedded.block_elsewhere_interval_secs",
    ],
    ["[embedded]\nhashes_per_blok = 16", "did you mean hashes_per_block"],
    ["[limits]\nmax_queue_bytes = 1", "limits.max_queue_bytes"],
    ['transport = "carrier-pigeon"', "transport"],
  ])("refuses %j and names %s", (text, path) => {
    expect(() => parse(text)).toThrow(path);
  });

  test("is described key by key", () => {
    const reference = configReference(templateProviderRole);
    for (const key of ["hashes_per_block", "nbits", "fee_threshold", "max_templates_per_client", "listen_address"]) {
      expect(reference).toContain(key);
    }
  });
});

describe("the bits of the chain", () => {
  test("cost about as many hashes as was asked for, and never fewer", () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 2 ** 48 }), (hashesPerBlock) => {
        const work = Number(workOf(targetFromBits(chainBits({ hashesPerBlock }))));
        expect(work).toBeGreaterThanOrEqual(hashesPerBlock);
        expect(work).toBeLessThanOrEqual(hashesPerBlock * 1.001 + 1);
      }),
    );
  });

  test("are those given, with or without 0x", () => {
    expect(chainBits({ nbits: "1f00ffff", hashesPerBlock: 2 })).toBe(0x1f00ffff);
    expect(chainBits({ nbits: "0x207FFFFF", hashesPerBlock: 9 })).toBe(0x207fffff);
  });
});
