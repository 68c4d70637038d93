import { describe, expect } from "vitest";
import { startBcoin } from "./bcoin-node.ts";
import { hasKernel, kernelVerdicts } from "./kernel-replay.ts";
import type { NodeBlocks } from "./mining/mining-scene.ts";
import { miningSuite } from "./mining/mining-suite.ts";

/** What bcoin has taken, Bitcoin Core's validation takes as well. */
async function expectNoneRefused({ chain, aside }: NodeBlocks): Promise<void> {
  let count = 0;
  for await (const verdict of kernelVerdicts([...chain, ...aside])) {
    expect(verdict).toMatchObject({ outcome: count < chain.length ? "connected" : "aside", why: [] });
    count += 1;
  }
  expect(count).toBe(chain.length + aside.length);
}

describe.skipIf(!hasKernel())("Where Rust is, and Bitcoin Core's validation is shown each block,", () =>
  miningSuite("bcoin on plain regtest", { start: startBcoin, judge: expectNoneRefused }),
);
