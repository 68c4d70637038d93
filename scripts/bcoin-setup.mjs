// What vitest runs before the tests that meet a Bitcoin node: they find bcoin by an environment variable.
import { installBcoin } from "./node-software.mjs";

/** Installs bcoin if it is missing. */
export function setup() {
  process.env.ADIT_NODE_BCOIN = installBcoin();
}
