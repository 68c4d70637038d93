import { hex } from "@adit/bitcoin";
import { processLines } from "../harness/process-lines.ts";

/** What Bitcoin Core's validation makes of a block. */
export interface KernelVerdict {
  /** Displayed order; absent when the bytes are no block. */
  readonly hash?: string;
  /**
   * - `connected`: it is the best block now
   * - `aside`: it is on a branch with less work, whose transactions are not checked yet
   * - `known`: it was there before
   * - `refused`: it, or the branch it would make the best one, breaks a rule
   */
  readonly outcome: "connected" | "aside" | "known" | "refused";
  /** Lines of Bitcoin Core's log on a refused block. */
  readonly why: readonly string[];
}

/**
 * Feeds blocks into a new regtest chain of Bitcoin Core's validation, the child of the first block first, and yields what
 * becomes of each. Throws when the program of test-e2e/kernel is not built or fails.
 */
export async function* kernelVerdicts(
  blocks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
): AsyncGenerator<KernelVerdict, void, undefined> {
  for await (const line of processLines(kernelProgram(), [], inHex(blocks))) yield JSON.parse(line) as KernelVerdict;
}

/** Whether {@link kernelVerdicts} can work here: false where `pnpm test:node` has said why not. Throws when nobody says. */
export function hasKernel(): boolean {
  return kernelProgram() !== "";
}

async function* inHex(
  blocks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
): AsyncGenerator<string, void, undefined> {
  for await (const block of blocks) yield hex(block);
}

/** Empty where it could not be built. */
function kernelProgram(): string {
  const path = process.env["ADIT_NODE_KERNEL"];
  if (path !== undefined) return path;
  throw new Error("ADIT_NODE_KERNEL does not say where kernel-replay is: run these tests with pnpm test:node");
}
