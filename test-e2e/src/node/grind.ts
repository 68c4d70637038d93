import { meetsTarget, type Target, targetToBytes } from "@adit/bitcoin";
import { doubleHash } from "../harness/double-hash.ts";

const NONCES = 2 ** 32;
const NONCE_OFFSET = 76;

/** Sets the nonce of a header to the first one that meets a target, and returns it. */
export function grind(header: Uint8Array, target: Target): number {
  const bytes = targetToBytes(target);
  const view = new DataView(header.buffer, header.byteOffset);
  for (let nonce = 0; nonce < NONCES; nonce += 1) {
    view.setUint32(NONCE_OFFSET, nonce, true);
    if (meetsTarget(doubleHash(header), bytes)) return nonce;
  }
  throw new Error("no nonce makes a block of this header");
}
