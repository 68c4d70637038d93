import { createHash } from "node:crypto";
import { type Hash, hash } from "@adit/bitcoin";

/** SHA-256 twice, as Node has it: a thousand miners in plain JavaScript would take more than the roles they are to load. */
export function doubleHash(bytes: Uint8Array): Hash {
  const once = createHash("sha256").update(bytes).digest();
  return hash(createHash("sha256").update(once).digest());
}
