import { networkInterfaces } from "node:os";
import { pause } from "../../backoff.ts";
import { aborted, Deadline } from "../../deadline.ts";
import { lanInterfaces } from "./interfaces.ts";
import { LanCore, type LanCounts } from "./lan-core.ts";
import { LanSocket } from "./lan-socket.ts";
import type { LanService } from "./records.ts";

/** What happened to an interface, for the log. A failure is told once until the interface works again. */
export type LanEvent =
  | { readonly type: "lan-up"; readonly interface: string }
  | { readonly type: "lan-failed"; readonly interface: string; readonly error: Error };

/** How discovery goes about it. */
export interface LanDiscoveryOptions {
  /** IPv4 addresses of the interfaces to use; empty for all but loopback. */
  readonly interfaces: readonly string[];
  readonly onEvent: (event: LanEvent) => void;
  /** Another port than mDNS's own, for tests. */
  readonly port?: number | undefined;
}

/** What the local network answered. */
export interface LanFinding {
  /** `IP:PORT` or `[IPv6]:PORT`; empty when nobody answered. */
  readonly addresses: readonly string[];
  /** How the addresses were come by, or why there are none. */
  readonly detail: string;
}

/** How often interfaces and own addresses are looked at. */
const RESCAN_MS = 10_000;
/** A neighbour answers within milliseconds; a packet may be lost, so it is asked twice. */
const WAITS_MS = [250, 500];
const SETTLE_MS = 50;
/** A start is announced twice (RFC 6762, 8.3). */
const ANNOUNCE_AGAIN_MS = 1000;

/**
 * Finds Iroh nodes on the local network by mDNS, and lets them be found (requirement A19). Over IPv4 multicast; the
 * addresses it tells are of both families. An interface that fails is tried again, and none at all is no fault: there is
 * nobody to find then.
 */
export class LanDiscovery implements AsyncDisposable {
  readonly #options: LanDiscoveryOptions;
  readonly #core: LanCore;
  readonly #sockets = new Map<string, LanSocket>();
  readonly #failed = new Set<string>();
  readonly #heard = new Set<() => void>();
  readonly #closing = new AbortController();
  readonly #running: Promise<void>;

  private constructor(options: LanDiscoveryOptions) {
    this.#options = options;
    this.#core = new LanCore({ now: performance.now(), port: options.port });
    this.#running = this.#keepScanning();
  }

  /** Resolves once every interface has been tried. */
  static async open(options: LanDiscoveryOptions): Promise<LanDiscovery> {
    const discovery = new LanDiscovery(options);
    await discovery.#scan();
    return discovery;
  }

  /** For metrics. */
  counts(): LanCounts {
    return this.#core.counts();
  }

  /** Answers for a node from now on, and tells the network. `current` is asked at each answer, since addresses change. */
  announce(endpointId: string, current: () => LanService): void {
    this.#core.responder.add(endpointId, current);
    void this.#announceTwice();
  }

  /** Says goodbye for a node. */
  withdraw(endpointId: string): void {
    void this.#sendAll(this.#core.responder.remove(endpointId));
  }

  /** Looks for an endpoint id, for less than a second. Rejects with the signal's reason when it aborts. */
  async find(endpointId: string, { signal }: { readonly signal: AbortSignal }): Promise<LanFinding> {
    const asking = this.#core.ask(endpointId, performance.now());
    const known = this.#core.cache.found(endpointId, performance.now());
    if (known.length > 0) return { addresses: known, detail: "heard of lately" };
    if (this.#sockets.size === 0) return { addresses: [], detail: "no interface of this host has multicast" };
    for (const ms of WAITS_MS) {
      void this.#sendAll([asking]);
      const addresses = await this.#answer(endpointId, ms, signal);
      signal.throwIfAborted();
      if (addresses.length > 0) return { addresses: await this.#settled(endpointId), detail: "answered" };
      if (this.#closing.signal.aborted) break;
    }
    return { addresses: [], detail: "nobody answered" };
  }

  /** Says goodbye for every node and closes the sockets. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    for (const look of this.#heard) look();
    await this.#running;
    const sockets = [...this.#sockets.values()];
    this.#sockets.clear();
    const goodbyes = this.#core.responder.removeAll();
    await Promise.all(sockets.flatMap((socket) => goodbyes.map((packet) => socket.send(packet))));
    for (const socket of sockets) socket.close();
  }

  /** Waits until the network has told an address, or for `ms`. */
  async #answer(endpointId: string, ms: number, signal: AbortSignal): Promise<readonly string[]> {
    const found = (): readonly string[] => this.#core.cache.found(endpointId, performance.now());
    using deadline = new Deadline(signal, ms);
    const over = new AbortController();
    const look = (): void => {
      if (found().length > 0 || this.#closing.signal.aborted || deadline.signal.aborted) over.abort();
    };
    deadline.signal.addEventListener("abort", look, { once: true });
    this.#heard.add(look);
    look();
    await aborted(over.signal);
    this.#heard.delete(look);
    return found();
  }

  /** Others may have something to say, too, and the first to answer need not be the one to believe. */
  async #settled(endpointId: string): Promise<readonly string[]> {
    await pause(SETTLE_MS, this.#closing.signal);
    return this.#core.cache.found(endpointId, performance.now());
  }

  async #keepScanning(): Promise<void> {
    const { signal } = this.#closing;
    for (;;) {
      await pause(RESCAN_MS, signal);
      if (signal.aborted) return;
      const isNew = await this.#scan();
      if (isNew || this.#core.responder.hasChanged()) void this.#announceTwice();
    }
  }

  /** Opens sockets on interfaces that have come and closes those of interfaces that have gone; true when one has come. */
  async #scan(): Promise<boolean> {
    const wanted = lanInterfaces(networkInterfaces(), this.#options.interfaces);
    for (const address of this.#sockets.keys()) if (!wanted.includes(address)) this.#drop(address);
    const missing = wanted.filter((address) => !this.#sockets.has(address));
    const opened = await Promise.all(missing.map((address) => this.#open(address)));
    return opened.includes(true);
  }

  async #open(address: string): Promise<boolean> {
    try {
      const socket = await LanSocket.open({
        address,
        port: this.#options.port,
        onPacket: (bytes, from) => this.#receive(bytes, from),
        onFailure: (error) => this.#fail(address, error),
      });
      if (this.#closing.signal.aborted) {
        socket.close();
        return false;
      }
      this.#sockets.set(address, socket);
      this.#failed.delete(address);
      this.#options.onEvent({ type: "lan-up", interface: address });
      return true;
    } catch (error) {
      this.#fail(address, error as Error);
      return false;
    }
  }

  #fail(address: string, error: Error): void {
    this.#drop(address);
    if (this.#failed.has(address)) return;
    this.#failed.add(address);
    this.#options.onEvent({ type: "lan-failed", interface: address, error });
  }

  #drop(address: string): void {
    this.#sockets.get(address)?.close();
    this.#sockets.delete(address);
  }

  #receive(bytes: Uint8Array, from: { readonly address: string; readonly port: number }): void {
    void this.#sendAll(this.#core.receive(bytes, from, performance.now()));
    for (const look of this.#heard) look();
  }

  async #announceTwice(): Promise<void> {
    await this.#sendAll(this.#core.responder.announce());
    await pause(ANNOUNCE_AGAIN_MS, this.#closing.signal);
    if (!this.#closing.signal.aborted) await this.#sendAll(this.#core.responder.announce());
  }

  async #sendAll(packets: readonly Uint8Array[]): Promise<void> {
    const sockets = [...this.#sockets.values()];
    await Promise.all(packets.flatMap((packet) => sockets.map((socket) => socket.send(packet))));
  }
}
