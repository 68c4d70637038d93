import { BitcoinNode, type BitcoinNodeOptions } from "../bitcoin-node.ts";
import { NodeError } from "../errors.ts";

/** A node's client at `url` on regtest, with the login a NodeServer asks for. */
export function nodeAt(url: string, options: Partial<BitcoinNodeOptions> = {}): BitcoinNode {
  return new BitcoinNode({ url, auth: { user: "user", password: "secret" }, network: "regtest", ...options });
}

/** A signal that never aborts. */
export const never: AbortSignal = new AbortController().signal;

/** The NodeError that `work` rejects with. */
export async function nodeErrorOf(work: Promise<unknown>): Promise<NodeError> {
  const error = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (error instanceof NodeError) return error;
  throw new Error("the work did not reject with a NodeError", { cause: error });
}
