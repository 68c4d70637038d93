import { pureHashing } from "@adit/bitcoin";
import type { Work } from "../work.ts";

/** Work that differs from a plain one as told. Its job is `undefined` unless given. */
export function testWork(changes: Partial<Work> = {}): Work {
  return {
    job: undefined,
    epoch: 0,
    version: 0x20000000,
    versionMask: 0x1fffe000,
    prevHash: new Uint8Array(32).fill(0x11),
    nbits: 0x1d00ffff,
    minNtime: 0x66000000,
    receivedAt: 0,
    target: new Uint8Array(32),
    extranonceSize: 8,
    merkleRoot: (extranonce) => pureHashing.sha256d(extranonce),
    ...changes,
  };
}
