import { readFileSync } from "node:fs";
import { decodeHeader, displayHash, sha256d } from "@adit/bitcoin";
import type { ChainBlock } from "./books.ts";

/** Length of the block, who solved it, a checksum of both and one of the block. */
const RECORD_HEADER_SIZE = 4 + 1 + 8 + 8;
const HEADER_SIZE = 80;
const NEWLINE = 0x0a;

/**
 * Reads the template provider's chain by its format and not by its code. A record that is not whole is where a crash
 * interrupted it and ends the chain, as it does for the role.
 */
export function readChain(path: string): readonly ChainBlock[] {
  return parseChain(readFileSync(path));
}

/** {@link readChain} from bytes. */
export function parseChain(bytes: Uint8Array): readonly ChainBlock[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const blocks: ChainBlock[] = [];
  let at = bytes.indexOf(NEWLINE) + 1;
  while (at + RECORD_HEADER_SIZE <= bytes.length) {
    const start = at + RECORD_HEADER_SIZE;
    const end = start + view.getUint32(at, true);
    if (end > bytes.length) break;
    const header = bytes.subarray(start, start + HEADER_SIZE);
    blocks.push({
      hash: displayHash(sha256d(header)),
      prevHash: displayHash(decodeHeader(header).prevHash),
      height: blocks.length + 1,
    });
    at = end;
  }
  return blocks;
}
