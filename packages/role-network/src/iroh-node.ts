import { describeSteps, IrohNodeManager, type LanDiscovery } from "@adit/network-helpers/iroh";
import type { IrohSettings, RoleContext } from "@adit/role-kit";
import { tell } from "./events.ts";
import { tellRelays } from "./relay-watch.ts";

/** How one node of a role is started. */
export interface RoleNodeOptions {
  readonly settings: IrohSettings;
  readonly context: Pick<RoleContext, "log" | "signal">;
  readonly lan: LanDiscovery | undefined;
  /** Secret. */
  readonly secretKey: Uint8Array;
  /** UDP addresses. */
  readonly bind: readonly string[];
  /** Endpoint ids that may connect. */
  readonly allowedPeers: readonly string[];
  /** Called for each connection that a peer has dialled. */
  readonly onAccepted: (peer: string) => void;
}

/** Starts a node with what its role logs of it. NetworkError of `IrohNodeManager.start`. */
export async function startNode({ settings, context, ...own }: RoleNodeOptions): Promise<IrohNodeManager> {
  const { log, signal } = context;
  const { relay, dialTimeoutSecs, acceptTimeoutSecs } = settings;
  const node = await IrohNodeManager.start({
    ...settings,
    ...own,
    dialTimeoutMs: dialTimeoutSecs * 1000,
    acceptTimeoutMs: acceptTimeoutSecs * 1000,
    signal,
    onDiscovery: ({ endpointId, steps }) => tell(log, "iroh peer found", { endpointId, tried: describeSteps(steps) }),
    onAcceptError: (error) => tell(log, "iroh connection turned away", { error }),
  });
  const relays = typeof relay === "string" ? relay : "custom";
  const lanDiscovery = own.lan !== undefined;
  tell(log, "iroh node up", {
    endpointId: node.endpointId,
    addresses: node.boundAddresses(),
    relay: relays,
    lanDiscovery,
  });
  if (relay !== "disabled") void tellRelays(node, log);
  return node;
}
