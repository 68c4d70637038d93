import type { Transport } from "@adit/network-helpers";
import {
  type Discovery,
  describeSteps,
  IrohNodeManager,
  LanDiscovery,
  type LanEvent,
} from "@adit/network-helpers/iroh";
import type { IrohSettings, ProcessSettings, RoleContext } from "@adit/role-kit";

/** What the config of every role with a network holds. */
export interface IrohRoleSettings extends ProcessSettings {
  readonly iroh: IrohSettings;
}

interface Parts {
  readonly node: IrohNodeManager;
  readonly lan: LanDiscovery | undefined;
}

/** Who a role's process is on Iroh: its node, and how that finds others and is found. */
export class IrohIdentity implements AsyncDisposable {
  readonly #parts: Parts;

  private constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** Starts the node, and LAN discovery where the config asks for it. NetworkError of `IrohNodeManager.start`. */
  static async start(settings: IrohSettings, context: RoleContext<IrohRoleSettings>): Promise<IrohIdentity> {
    const lan = settings.lanDiscovery ? await openLan(settings, context) : undefined;
    try {
      const node = await startNode(settings, context, lan);
      context.onReload(["iroh.allowed_peers"], ({ iroh }) => node.setAllowedPeers(iroh.allowedPeers));
      return new IrohIdentity({ node, lan });
    } catch (error) {
      await lan?.[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** The endpoint id that this process dials with and is to be known by. */
  get endpointId(): string {
    return this.#parts.node.endpointId;
  }

  /** Streams of one ALPN, dialled and accepted. */
  transport(alpn: string): Transport {
    return this.#parts.node.transport(alpn);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#parts.node[Symbol.asyncDispose]();
    await this.#parts.lan?.[Symbol.asyncDispose]();
  }
}

async function startNode(
  settings: IrohSettings,
  { log, signal }: RoleContext<IrohRoleSettings>,
  lan: LanDiscovery | undefined,
): Promise<IrohNodeManager> {
  const { relay } = settings;
  const node = await IrohNodeManager.start({
    ...settings,
    relay,
    dialTimeoutMs: settings.dialTimeoutSecs * 1000,
    acceptTimeoutMs: settings.acceptTimeoutSecs * 1000,
    signal,
    lan,
    onDiscovery: ({ endpointId, steps }: Discovery) =>
      log.info({ endpointId, tried: describeSteps(steps) }, "iroh peer found"),
    onAcceptError: (error) => log.debug({ error }, "iroh connection turned away"),
  });
  const { endpointId } = node;
  const relays = typeof relay === "string" ? relay : "custom";
  log.info(
    { endpointId, addresses: node.boundAddresses(), relay: relays, lanDiscovery: lan !== undefined },
    "iroh node up",
  );
  return node;
}

async function openLan(
  { lanInterfaces: interfaces }: IrohSettings,
  { log, metrics }: RoleContext<IrohRoleSettings>,
): Promise<LanDiscovery> {
  const onEvent = (event: LanEvent): void => {
    if (event.type === "lan-up") log.info({ interface: event.interface }, "lan discovery up");
    else log.warn({ interface: event.interface, error: event.error }, "lan discovery failed; it is tried again");
  };
  const lan = await LanDiscovery.open({ interfaces, onEvent });
  const packets = metrics.counter({
    name: "sv2_lan_packets_total",
    help: "mDNS packets by outcome: read, ignored as malformed or not mDNS's, dropped because they came too fast",
    labels: ["outcome"],
  });
  let told = { read: 0, ignored: 0, dropped: 0 };
  metrics.onCollect(() => {
    const counts = lan.counts();
    for (const outcome of ["read", "ignored", "dropped"] as const) {
      packets.inc({ outcome }, counts[outcome] - told[outcome]);
    }
    told = counts;
  });
  return lan;
}
