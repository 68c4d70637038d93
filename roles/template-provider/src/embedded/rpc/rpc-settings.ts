import { address, isLoopback, splitAddress } from "@adit/role-kit";
import { z } from "zod";

/** Keys of `[embedded]` that let the chain be asked like a Bitcoin node. Check them with {@link rpcKeyProblems}. */
export const rpcKeys = {
  rpcListenAddress: z
    .exactOptional(address)
    .describe("host:port where the chain answers JSON-RPC as a Bitcoin node does; off when absent"),
  rpcAllowRemote: z
    .boolean()
    .default(false)
    .describe(
      "lets rpc_listen_address be reached from other machines; user and password cross the network in the clear",
    ),
  rpcUser: z
    .exactOptional(z.string().regex(/^[^:\s]+$/, "expected a name without colons and spaces"))
    .describe("user name for it; without one, user and password are in the file .cookie under data_path"),
  rpcPass: z.exactOptional(z.string().min(1)).describe("password that goes with rpc_user"),
};

/** What {@link rpcKeys} parse to. */
export type EmbeddedRpcSettings = z.output<z.ZodObject<typeof rpcKeys>>;

/** What is wrong with the keys together: the key, and what was expected. */
export function rpcKeyProblems(
  settings: EmbeddedRpcSettings,
): readonly (readonly [keyof EmbeddedRpcSettings, string])[] {
  const { rpcListenAddress, rpcAllowRemote, rpcUser, rpcPass } = settings;
  const problems: (readonly [keyof EmbeddedRpcSettings, string])[] = [];
  if ((rpcUser === undefined) !== (rpcPass === undefined)) {
    problems.push([rpcUser === undefined ? "rpcUser" : "rpcPass", "expected rpc_user and rpc_pass, or neither"]);
  }
  if (rpcListenAddress === undefined) {
    if (rpcUser !== undefined) problems.push(["rpcListenAddress", "expected host:port: rpc_user is for it"]);
  } else if (!rpcAllowRemote && !isLoopback(splitAddress(rpcListenAddress).host)) {
    const message = "expected a loopback address such as 127.0.0.1:18443, or rpc_allow_remote = true besides";
    problems.push(["rpcListenAddress", message]);
  }
  return problems;
}
