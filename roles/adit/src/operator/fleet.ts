import { NetworkError } from "@adit/network-helpers";
import {
  defaultPeerOptions,
  type MessageOutcome,
  type PeerBookStats,
  PeerConnector,
  type PeerEvent,
  type PeerOptions,
  type PeerStats,
} from "@adit/network-helpers/peers";
import type { Caller, CallOptions } from "@adit/network-helpers/rpc";
import { checkLink, isBroken, type RoleLink } from "./role-link.ts";
import type { NamedTarget, Target } from "./target.ts";
import { Turns } from "./turns.ts";

/** Something that a role shall do as soon as it can be reached. */
export interface Order {
  /** Rejects when the role has not heard it, or may hear it twice: then it is tried again. */
  deliver(caller: Caller, options: CallOptions): Promise<void>;
}

/** What a {@link Fleet} is made of. */
export interface FleetParts {
  readonly targets: readonly NamedTarget[];
  /** Connects to a role; see `openLink`. */
  readonly open: (target: Target, options: { readonly signal: AbortSignal }) => Promise<RoleLink>;
  /** Times and limits; the defaults for what is left out. */
  readonly peers?: Partial<PeerOptions>;
  /** Longest wait for an answer, in milliseconds. */
  readonly deadlineMs: number;
  /** Called at every change of a connection or a circuit breaker; its `peer` is a target's name. */
  readonly onEvent?: (event: PeerEvent) => void;
  /** A number from 0 up to but not including 1; `Math.random` unless told. */
  readonly random?: () => number;
}

/**
 * Many roles that one operator calls, each over a connection of its own that is dialled when needed (requirement A16). A role that
 * is away costs the others nothing: its breaker opens, and calls to it fail at once until a trial has gone well.
 */
export class Fleet implements AsyncDisposable {
  readonly #connector: PeerConnector<RoleLink, Order>;
  readonly #deadlineMs: number;
  /** As many uses as connections: with more, the connector would refuse some of them. */
  readonly #turns: Turns;
  /** What the connector knows each target by. */
  readonly #members = new Map<string, string>();
  /** Where each of those leads that the connector may still dial. */
  readonly #targets = new Map<string, NamedTarget>();

  constructor({ targets, open, peers, deadlineMs, onEvent, random }: FleetParts) {
    this.#deadlineMs = deadlineMs;
    this.#turns = new Turns(peers?.maxConnections ?? defaultPeerOptions.maxConnections);
    this.#connector = new PeerConnector<RoleLink, Order>({
      options: { ...peers },
      dial: async (peer, { signal }) => await open(this.#known(this.#targets, peer).target, { signal }),
      messages: {
        deliver: (link, order, { signal }) => order.deliver(link.caller, { signal, deadlineMs }),
        sizeOf: () => 0,
      },
      check: checkLink,
      ended: ({ ended }) => ended,
      breaks: isBroken,
      ...(onEvent === undefined ? {} : { onEvent }),
      ...(random === undefined ? {} : { random }),
    });
    this.setTargets(targets);
  }

  /** Names of the targets, in their order. */
  get names(): readonly string[] {
    return [...this.#members.keys()];
  }

  /** Replaces the targets. Connections to those that are gone end when they have been idle for long enough. */
  setTargets(targets: readonly NamedTarget[]): void {
    this.#members.clear();
    for (const named of targets) {
      const peer = this.#peerOf(named);
      this.#members.set(named.name, peer);
      this.#targets.set(peer, named);
    }
    const current = new Set([...this.#members.values(), ...this.stats().peers.map(({ peer }) => peer)]);
    for (const peer of this.#targets.keys()) if (!current.has(peer)) this.#targets.delete(peer);
  }

  /**
   * Runs `work` with a role's caller, over a connection that others may use meanwhile. Rejects with what `work` rejects with, with NetworkError or
   * RpcError when the role cannot be reached, and with NetworkError `breaker-open` while it is left alone.
   */
  async call<T>(
    name: string,
    work: (caller: Caller, options: CallOptions) => Promise<T>,
    { signal }: { readonly signal: AbortSignal },
  ): Promise<T> {
    const peer = this.#known(this.#members, name);
    const deadlineMs = this.#deadlineMs;
    return await this.#turns.run(() =>
      this.#connector.use(peer, (link, options) => work(link.caller, { ...options, deadlineMs }), { signal }),
    );
  }

  /** Hands an order over: it waits for a role that is away, in turn with the others to the same. Resolves to what became of it. */
  async send(name: string, order: Order): Promise<MessageOutcome> {
    return await this.#connector.send(this.#known(this.#members, name), order);
  }

  /** Where the breaker of each target stands. One that was never called, or not for long, has a closed one. */
  breakers(): ReadonlyMap<string, PeerStats["breaker"]> {
    const known = new Map(this.stats().peers.map(({ peer, breaker }) => [peer, breaker]));
    return new Map([...this.#members].map(([name, peer]) => [name, known.get(peer) ?? "closed"]));
  }

  /** Connections and breakers, and totals since the start. */
  stats(): PeerBookStats {
    return this.#connector.stats();
  }

  /** Closes every connection, and refuses orders that wait. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#connector[Symbol.asyncDispose]();
  }

  /** What the connector knows a target by: its name, unless a connection under that name leads elsewhere. */
  #peerOf({ name, text }: NamedTarget): string {
    for (let count = 1; ; count++) {
      const peer = count === 1 ? name : `${name} #${count}`;
      const known = this.#targets.get(peer);
      if (known === undefined || known.text === text) return peer;
    }
  }

  #known<T>(map: ReadonlyMap<string, T>, name: string): T {
    const found = map.get(name);
    if (found !== undefined) return found;
    throw new NetworkError("invalid-config", { peer: name, message: `${name}: there is no target of this name` });
  }
}
