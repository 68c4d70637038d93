import type { Transport } from "@adit/network-helpers";
import {
  type DualStreamsOptions,
  endpointIdOf,
  type IdentityKeys,
  type LanDiscovery,
  loadIdentityKeys,
} from "@adit/network-helpers/iroh";
import type { IrohSettings, ProcessSettings, RoleContext } from "@adit/role-kit";
import { tell } from "./events.ts";
import { type IrohMetrics, irohMetrics } from "./iroh-metrics.ts";
import { startNode as startRoleNode } from "./iroh-node.ts";
import { openLan } from "./lan.ts";
import { SupervisedNode } from "./supervised-node.ts";

/** What the config of every role with a network holds. */
export interface IrohRoleSettings extends ProcessSettings {
  readonly iroh: IrohSettings;
}

/** One of the nodes that a role is reached at. */
export interface IdentityNode {
  /** Streams of one ALPN; with `dual`, also connections with two streams under another. */
  transport(alpn: string, dual?: DualStreamsOptions): Transport;
  /** Streams of one ALPN, with endpoint ids of its own that may connect. */
  transportFor(alpn: string, allowedPeers: ReadonlySet<string>): Transport;
  /** Aborts when the node is about to end before the role does. */
  readonly signal: AbortSignal;
}

/** Takes a node to listen on, and resolves once it does, or has failed to. */
type Attach = (node: IdentityNode) => Promise<void>;

/** How an {@link IrohIdentity} is started. */
export interface IdentityOptions {
  /** Whether the role is of no use without its node. */
  readonly required: boolean;
  /** Starts one node; only a test has another way. */
  readonly startNode?: typeof startRoleNode;
}

/** How often the end of an overlap is looked for. */
const CHECK_MS = 60_000;
/** Peers of a former endpoint id that are named in the log, each once. */
const MAX_NAMED_PEERS = 1000;

/**
 * Who a role's process is on Iroh (requirement A6): its node, and while a rotated key is answered, the former one beside
 * it. The former node keeps the configured UDP port, because whoever has not been moved yet dials it there. Dials go out
 * under the current endpoint id only.
 */
export class IrohIdentity implements AsyncDisposable {
  readonly #settings: IrohSettings;
  readonly #context: RoleContext<IrohRoleSettings>;
  readonly #lan: LanDiscovery | undefined;
  readonly #required: boolean;
  readonly #startNode: typeof startRoleNode;
  readonly #metrics: IrohMetrics;
  readonly #attached = new Set<Attach>();
  readonly #namedPeers = new Set<string>();
  readonly #timer: NodeJS.Timeout;
  #allowedPeers: readonly string[];
  #current: SupervisedNode | undefined;
  #former: SupervisedNode | undefined;
  #until = Number.POSITIVE_INFINITY;

  private constructor(
    settings: IrohSettings,
    context: RoleContext<IrohRoleSettings>,
    { lan, required, startNode }: Required<IdentityOptions> & { readonly lan: LanDiscovery | undefined },
  ) {
    this.#settings = settings;
    this.#context = context;
    this.#lan = lan;
    this.#required = required;
    this.#startNode = startNode;
    this.#allowedPeers = settings.allowedPeers;
    this.#metrics = irohMetrics(context.metrics, () => ({
      current: this.#current?.node?.stats().acceptedStreams ?? 0,
      former: this.#former?.node?.stats().acceptedStreams ?? 0,
    }));
    this.#timer = setInterval(() => void this.#endIfOver(), CHECK_MS).unref();
  }

  /**
   * Starts the node or nodes, and LAN discovery where the config asks for it. A node that is `required` and does not start
   * rejects, with the NetworkError of `IrohNodeManager.start`; one that is not is tried again.
   */
  static async start(
    settings: IrohSettings,
    context: RoleContext<IrohRoleSettings>,
    { required, startNode = startRoleNode }: IdentityOptions,
  ): Promise<IrohIdentity> {
    const lan = settings.lanDiscovery ? await openLan(settings, context) : undefined;
    const identity = new IrohIdentity(settings, context, { lan, required, startNode });
    try {
      await identity.#begin();
    } catch (error) {
      await identity[Symbol.asyncDispose]();
      throw error;
    }
    context.onReload(["iroh.allowed_peers"], ({ iroh }) => identity.#setAllowedPeers(iroh.allowedPeers));
    context.onFileReload("iroh.secret_key_path", () => identity.#refresh());
    return identity;
  }

  /** The endpoint id that this process dials with and is to be known by. */
  get endpointId(): string {
    return this.#running().endpointId;
  }

  /** The node of the current endpoint id. */
  get current(): IdentityNode {
    return this.#running();
  }

  /** Listens on the former node, if there is one, and on each that comes, until the result is called. */
  async attach(attach: Attach): Promise<() => void> {
    this.#attached.add(attach);
    if (this.#former !== undefined) await attach(this.#former);
    return () => this.#attached.delete(attach);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    const reason = new Error("the role stops");
    await Promise.all([this.#current?.end(reason), this.#former?.end(reason)]);
    await this.#lan?.[Symbol.asyncDispose]();
  }

  async #begin(): Promise<void> {
    const { bind } = this.#settings;
    const { secretKey, former } = await this.#keys();
    if (former !== undefined) {
      try {
        this.#former = await this.#start(former.secretKey, bind);
        this.#until = former.until;
      } catch (error) {
        this.#context.log.error({ error, endpointId: former.endpointId }, "former endpoint id not answered");
      }
    }
    this.#current = await this.#start(secretKey, former === undefined ? bind : this.#rotationBind());
    if (this.#former !== undefined) this.#tellOverlap();
  }

  /** Looks at the key file anew: a rotated key is taken over at once, and one whose overlap was ended is dropped. */
  async #refresh(): Promise<boolean> {
    const { secretKey, former } = await this.#keys();
    const running = this.#running();
    const isCurrent = endpointIdOf(secretKey) === running.endpointId;
    if (!isCurrent && former?.endpointId !== running.endpointId) {
      throw new Error("the key file holds another key, and this one is not its former key: restart for it");
    }
    if (former !== undefined && former.endpointId === this.#former?.endpointId) {
      this.#until = former.until;
      return false;
    }
    const hasEnded = await this.#endFormer();
    if (isCurrent) return hasEnded;
    const next = await this.#start(secretKey, this.#rotationBind());
    this.#former = running;
    this.#current = next;
    this.#until = former?.until ?? 0;
    this.#tellOverlap();
    await Promise.all([...this.#attached].map((attach) => attach(next)));
    return true;
  }

  async #keys(): Promise<IdentityKeys> {
    const { log, now } = this.#context;
    const keys = await loadIdentityKeys(this.#settings.secretKeyPath, { env: process.env, now: now() });
    if (keys.ended !== undefined) log.info({ endpointId: keys.ended }, "former endpoint id ended, its key removed");
    return keys;
  }

  async #start(secretKey: Uint8Array, bind: readonly string[]): Promise<SupervisedNode> {
    const endpointId = endpointIdOf(secretKey);
    return await SupervisedNode.start({
      endpointId,
      required: this.#required,
      log: this.#context.log,
      onStart: (result) => this.#metrics.starts.inc({ result }),
      start: () =>
        this.#startNode({
          settings: this.#settings,
          context: this.#context,
          lan: this.#lan,
          secretKey,
          bind,
          allowedPeers: this.#allowedPeers,
          onAccepted: (peer) => this.#onAccepted(endpointId, peer),
        }),
    });
  }

  /** The configured addresses with ports that are free: the former node has the configured ones. */
  #rotationBind(): readonly string[] {
    return this.#settings.rotationBind ?? this.#settings.bind.map((address) => address.replace(/:\d+$/, ":0"));
  }

  #onAccepted(endpointId: string, peer: string): void {
    const isFormer = endpointId === this.#former?.endpointId;
    this.#metrics.connections.inc({ identity: isFormer ? "former" : "current" });
    if (!isFormer || this.#namedPeers.has(peer) || this.#namedPeers.size >= MAX_NAMED_PEERS) return;
    this.#namedPeers.add(peer);
    const fields = { peer, former: endpointId, current: this.#current?.endpointId, until: this.#untilText() };
    tell(this.#context.log, "peer dials the former endpoint id: give it the current one", fields);
  }

  /** Ends the former node when its time is over, and has its key removed. */
  async #endIfOver(): Promise<void> {
    const { log, now } = this.#context;
    if (now() < this.#until) return;
    try {
      await this.#endFormer();
      await this.#keys();
    } catch (error) {
      log.error({ error }, "former endpoint id not ended properly");
    }
  }

  async #endFormer(): Promise<boolean> {
    const former = this.#former;
    if (former === undefined) return false;
    this.#former = undefined;
    this.#until = Number.POSITIVE_INFINITY;
    this.#namedPeers.clear();
    await former.end(new Error("the former endpoint id is answered no more"));
    tell(this.#context.log, "former endpoint id answered no more", { endpointId: former.endpointId });
    return true;
  }

  #setAllowedPeers(peers: readonly string[]): void {
    this.#allowedPeers = peers;
    for (const running of [this.#current, this.#former]) running?.node?.setAllowedPeers(peers);
  }

  #tellOverlap(): void {
    const [current, former] = [this.#current, this.#former];
    const currentTicket = current?.node?.ticket();
    const fields = { current: current?.endpointId, currentTicket, former: former?.endpointId };
    tell(this.#context.log, "answering under two endpoint ids", { ...fields, until: this.#untilText() });
  }

  #untilText(): string {
    return new Date(this.#until).toISOString();
  }

  #running(): SupervisedNode {
    if (this.#current === undefined) throw new Error("the Iroh node has not been started");
    return this.#current;
  }
}
