import { BitcoinError, type Network, scriptFromDescriptor } from "@adit/bitcoin";
import type { z } from "zod";

/** Without `network` in the config, the first of these that a script is valid on. */
const networksToTry: readonly Network[] = ["mainnet", "testnet4", "regtest"];

/**
 * The output script of a descriptor. An address names its network; a script is the same on all of them.
 *
 * @throws BitcoinError `bad-descriptor`, or `wrong-network` when it belongs to another network than the one given.
 */
export function payoutScript(descriptor: string, network: Network | undefined): Uint8Array {
  let problem: unknown;
  for (const tried of network === undefined ? networksToTry : [network]) {
    try {
      return scriptFromDescriptor(descriptor, tried);
    } catch (error) {
      if (!(error instanceof BitcoinError)) throw error;
      problem ??= error;
    }
  }
  throw problem;
}

/** Adds a problem at `path` when the descriptor has no output script. */
export function checkDescriptor(
  { descriptor, network }: { readonly descriptor: string; readonly network: Network | undefined },
  path: readonly PropertyKey[],
  context: z.core.$RefinementCtx,
): void {
  try {
    payoutScript(descriptor, network);
  } catch (error) {
    if (!(error instanceof BitcoinError)) throw error;
    const message = `expected a payable descriptor: ${error.message}`;
    context.addIssue({ code: "custom", path: [...path], message, input: descriptor });
  }
}
