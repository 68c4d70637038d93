import { describeSteps, IrohNodeManager, type LanDiscovery } from "@adit/network-helpers/iroh";
import type { IrohSettings, RoleContext } from "@adit/role-kit";

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
    onDiscovery: ({ endpointId, steps }) => log.info({ endpointId, tried: describeSteps(steps) }, "iroh peer found"),
    onAcceptError: (error) => log.debug({ error }, "iroh connection turned away"),
  });
  const relays = typeof relay === "string" ? relay : "custom";
  const lanDiscovery = own.lan !== undefined;
  log.info(
    { endpointId: node.endpointId, addresses: node.boundAddresses(), relay: relays, lanDiscovery },
    "iroh node up",
  );
  return node;
}
