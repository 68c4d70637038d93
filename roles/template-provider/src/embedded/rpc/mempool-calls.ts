import { displayHash } from "@adit/bitcoin";
import { hexOf } from "@adit/bitcoin-node";
import { z } from "zod";
import type { EmbeddedChain } from "../embedded-chain.ts";
import { idParameter } from "./chain-calls.ts";
import type { RpcMethod } from "./rpc-call.ts";
import { parameters, RpcError } from "./rpc-error.ts";

const plainOnly = z
  .union([z.literal(0), z.literal(false)], "expected 0: no more than hexadecimal is served")
  .default(0);
const transactionBy = z.tuple([idParameter, plainOnly]);
const listBy = z.tuple([z.literal(false, "expected false: no more than ids are served").default(false)]);

/** `getrawmempool` and `getrawtransaction`, as Bitcoin Core without an index of transactions has them. */
export function mempoolCalls(
  chain: Pick<EmbeddedChain, "waiting" | "transaction">,
): readonly (readonly [string, RpcMethod])[] {
  return [
    [
      "getrawmempool",
      ({ params }) => {
        parameters(listBy, params);
        return chain.waiting.map(({ txid }) => displayHash(txid));
      },
    ],
    [
      "getrawtransaction",
      ({ params }) => {
        const [id] = parameters(transactionBy, params);
        const transaction = chain.transaction(id);
        if (transaction === undefined) {
          throw new RpcError("notFound", "No such mempool transaction; those in blocks are not indexed");
        }
        return hexOf(transaction.bytes);
      },
    ],
  ];
}
