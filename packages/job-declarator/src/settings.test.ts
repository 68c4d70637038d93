import { describe, expect, test } from "vitest";
import { z } from "zod";
import { checkJds, jdsServerSettings, jdsSettings, toDeclaratorLimits } from "./settings.ts";
import { LIMITS } from "./testing/declaring.ts";

const node = { coreRpcUrl: "http://node:8332", coreRpcUser: "adit", coreRpcPass: "x" };

/** Paths of what is wrong with a pool's `[jds]`. */
function problems(jds: z.input<typeof jdsSettings>): readonly string[] {
  const checked = z
    .strictObject({ jds: jdsSettings })
    .superRefine((config, context) => checkJds(config.jds, "mainnet", { context, path: ["jds"] }));
  return checked.safeParse({ jds }).error?.issues.map(({ path }) => path.join(".")) ?? [];
}

describe("a pool's [jds]", () => {
  test.each<[string, z.input<typeof jdsSettings>, readonly string[]]>([
    ["on TCP", { listenAddress: "0.0.0.0:3334" }, []],
    ["on Iroh", { transport: "iroh" }, []],
    ["with a node", { transport: "iroh", bitcoinNode: { nodes: [node] } }, []],
    ["with the reference implementation's empty lists", { transport: "iroh", supportedExtensions: [] }, []],
    ["on TCP without an address", {}, ["jds.listenAddress"]],
    ["on both without one", { transport: "dual" }, ["jds.listenAddress"]],
    ["with an extension", { transport: "iroh", supportedExtensions: [2 as never] }, ["jds.supportedExtensions.0"]],
    [
      "with one node twice",
      { transport: "iroh", bitcoinNode: { nodes: [node], extraSubmit: [node] } },
      ["jds.bitcoinNode.extraSubmit.0"],
    ],
  ])("%s has these problems", (_, jds, paths) => {
    expect(problems(jds)).toEqual(paths);
  });

  test("is served with the pool's keys, where [jds] says", () => {
    const pool = {
      transport: "dual",
      listenAddress: "0.0.0.0:3333",
      encryption: "noise",
      authorityKeyPath: "pool.key",
      certValiditySec: 3_600,
      iroh: {} as never,
    } as const;
    expect(jdsServerSettings({ transport: "tcp", listenAddress: "0.0.0.0:3334" }, pool)).toEqual({
      ...pool,
      transport: "tcp",
      listenAddress: "0.0.0.0:3334",
    });
    expect(jdsServerSettings({ transport: "iroh" }, pool)).not.toHaveProperty("listenAddress");
  });
});

test("the limits that tests go by are the config's defaults", () => {
  expect(toDeclaratorLimits(jdsSettings.parse({}).limits)).toEqual(LIMITS);
});
