import type { IrohNodeManager } from "@adit/network-helpers/iroh";
import type { RoleContext } from "@adit/role-kit";
import { tell } from "./events.ts";

/** Time in which a relay is reached where nothing is wrong, in milliseconds. */
const PATIENCE_MS = 10_000;

/**
 * Says in the log that a node has reached a relay, and before that, if it takes long, that it has not: until then nobody
 * gets to it who knows its endpoint id and a relay alone. Resolves when it has, or when the node is closed.
 */
export async function tellRelays(
  node: Pick<IrohNodeManager, "endpointId" | "online" | "address" | "closed">,
  log: RoleContext["log"],
  patienceMs: number = PATIENCE_MS,
): Promise<void> {
  const { endpointId } = node;
  const closing = new AbortController();
  void node.closed.then(() => closing.abort(new Error("the node is closed")));
  const late = setTimeout(() => tell(log, "iroh relay not reached", { endpointId, afterMs: patienceMs }), patienceMs);
  try {
    await node.online({ signal: closing.signal });
    const relays = node.address().relayUrls;
    if (relays.length > 0) tell(log, "iroh relay reached", { endpointId, relays });
  } catch {
    // Nobody waits for a relay any more.
  } finally {
    clearTimeout(late);
  }
}
