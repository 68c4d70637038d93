import { BitcoinError, type Network, scriptFromDescriptor } from "@adit/bitcoin";
import type { z } from "zod";

/** What blocks pay to. */
export interface RewardScript {
  /** Output script of the descriptor. */
  readonly script: Uint8Array;
  /** Network that it is taken to be of. */
  readonly network: Network;
}

/** A descriptor as configs have it, with the network it must belong to, if one is named. */
export interface RewardDescriptor {
  readonly descriptor: string;
  readonly network: Network | undefined;
}

/** Without a network in the config, the first of these that a script is valid on. */
const networksToTry: readonly Network[] = ["mainnet", "testnet4", "regtest"];

/**
 * The output script of a descriptor. An address names its network; a script is the same on all of them.
 *
 * @throws BitcoinError `bad-descriptor`, or `wrong-network` when it belongs to another network than the one given.
 */
export function rewardScript({ descriptor, network }: RewardDescriptor): RewardScript {
  let problem: unknown;
  for (const tried of network === undefined ? networksToTry : [network]) {
    try {
      return { script: scriptFromDescriptor(descriptor, tried), network: tried };
    } catch (error) {
      if (!(error instanceof BitcoinError)) throw error;
      problem ??= error;
    }
  }
  throw problem;
}

/** Adds a problem at `path` when a descriptor has no output script. */
export function checkRewardScript(
  descriptor: RewardDescriptor,
  path: readonly PropertyKey[],
  context: z.core.$RefinementCtx,
): void {
  try {
    rewardScript(descriptor);
  } catch (error) {
    if (!(error instanceof BitcoinError)) throw error;
    const message = `expected a payable descriptor: ${error.message}`;
    context.addIssue({ code: "custom", path: [...path], message, input: descriptor.descriptor });
  }
}
