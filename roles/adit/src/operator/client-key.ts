import { homedir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { endpointIdOf, loadOrCreateSecretKey } from "@adit/network-helpers/iroh";

/** Where an operator's own key is kept unless told. */
function defaultKeyPath(): string {
  return join(homedir(), ".config", "adit", "rpc.key");
}

/** The operator's key; made at first use, mode 0600. A role's `IROH_SECRET` is not the operator's. */
export async function clientKey(path: string = defaultKeyPath()): Promise<Uint8Array> {
  return await loadOrCreateSecretKey(path, {});
}

/** `adit keys rpc`: prints the endpoint id that a role's `[rpc] allowed_peers` needs, and nothing else. */
export async function rpcKey(argv: readonly string[]): Promise<number> {
  const { values } = parseArgs({ args: [...argv], options: { key: { type: "string" } } });
  process.stdout.write(`${endpointIdOf(await clientKey(values.key))}\n`);
  return 0;
}
