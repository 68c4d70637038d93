import { decodeBlock, encodeHeader, hex, sha256d, targetFromBits, workOf } from "@adit/bitcoin";
import { describe, expect, test } from "vitest";
import { MinedChain } from "../testing/mined-chain.ts";
import { genesisTip } from "./chain-tip.ts";
import { genesisBlock } from "./genesis-block.ts";
import { HeaderChain } from "./header-chain.ts";

const LENGTH = 13;
const mined = new MinedChain(LENGTH);
const headersOf = (blocks: MinedChain["blocks"]): readonly Uint8Array[] => blocks.map(({ header }) => header);

describe("the headers of the chain", () => {
  test("begin with the genesis block of regtest", () => {
    const { header } = decodeBlock(genesisBlock);
    expect(hex(sha256d(encodeHeader(header)))).toBe(hex(genesisTip.hash));
    expect(header.ntime).toBe(genesisTip.times[0]);
    expect(new HeaderChain([]).at(0)).toMatchObject({ height: 0, hash: genesisTip.hash });
  });

  test("are found by height and by hash, and nothing else is", () => {
    const headers = new HeaderChain(headersOf(mined.blocks));
    expect(headers.height).toBe(LENGTH);
    for (const { height, hash, header } of mined.blocks) {
      expect(headers.at(height)).toMatchObject({ height, hash, bytes: header });
      expect(headers.find(hash)).toBe(headers.at(height));
    }
    expect([headers.at(LENGTH + 1), headers.at(-1), headers.find(new Uint8Array(32))]).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
  });

  test("give the same tip at every height as the chain had there, however they came", () => {
    const headers = new HeaderChain(headersOf(mined.blocks.slice(0, 5)));
    for (const block of mined.blocks.slice(5)) headers.add(block.header);
    const tips = mined.tips.map((_, height) => headers.tipAt(headers.at(height)!));
    expect(tips).toEqual(mined.tips);
  });

  test("add up the work of all blocks to each", () => {
    const headers = new HeaderChain(headersOf(mined.blocks));
    const each = workOf(targetFromBits(mined.chain.bits));
    expect(headers.at(0)?.work).toBe(2n);
    expect(headers.at(LENGTH)?.work).toBe(2n + BigInt(LENGTH) * each);
  });
});
