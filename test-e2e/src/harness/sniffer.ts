import type { DialectMessage, Protocol, Tlv } from "@adit/codec";
import type { ByteStream } from "@adit/network-helpers";
import type { Reachable } from "./dial.ts";
import { SnifferDoors, type SnifferPlace } from "./sniffer-doors.ts";
import { type Act, Hold, Interception, Interceptions, type Selection } from "./sniffer-interception.ts";
import { Link, type LinkParts, reasonOf } from "./sniffer-link.ts";
import {
  type Direction,
  ifWanted,
  type MessageLike,
  type MessagePattern,
  type Sighting,
  type SightingOf,
  type Where,
} from "./sniffer-sighting.ts";
import { type Ended, type Mark, type Patience, Trace } from "./sniffer-trace.ts";

/** Characters of a peer's name that the trace shows: an endpoint id is long. */
const PEER_SHOWN = 21;

/** Which of the messages of a name are looked for. */
export interface Look<P extends Protocol, N extends MessagePattern<P>> {
  /** Only those it is true for. */
  readonly where?: Where<P, N>;
  /** Only those behind this mark; all since the start, unless told. */
  readonly since?: Mark;
}

/** What to send in place of a message. */
export type Substitute<P extends Protocol, N extends MessagePattern<P>> = (
  message: MessageLike<P, N>,
) => readonly DialectMessage<P>[];

/**
 * Somebody between two roles who sees every message, on either transport on each side. It stands where the upstream would:
 * the downstream's config names it instead, and its authority key. Frames travel on as they came, SetupConnection, TLV
 * fields and unknown messages included, unless an interception takes them. A message is seen when it comes in: it is on its
 * way then, and has not arrived.
 */
export class Sniffer<P extends Protocol> implements Reachable, AsyncDisposable {
  readonly #place: SnifferPlace<P>;
  readonly #doors: SnifferDoors;
  readonly #trace = new Trace<P>();
  readonly #interceptions = new Interceptions<P>();
  /** The links that carry frames, by their number. */
  readonly #links = new Map<number, Link<P>>();
  /** Whatever is to come to an end before the sniffer has. */
  readonly #serving = new Set<Promise<void>>();
  readonly #faults: unknown[] = [];
  readonly #start = performance.now();
  /** Ends connections that are still being set up. */
  #cutting = new AbortController();
  #connections = 0;

  private constructor(place: SnifferPlace<P>, doors: SnifferDoors) {
    this.#place = place;
    this.#doors = doors;
  }

  /** Starts to accept downstreams, each of which gets a connection of its own to the upstream. */
  static async start<P extends Protocol>(place: SnifferPlace<P>): Promise<Sniffer<P>> {
    const sniffer = new Sniffer(place, await SnifferDoors.open(place));
    await sniffer.accept();
    return sniffer;
  }

  /** What the downstream's config says of the upstream, as if the sniffer were it. */
  get details(): Reachable["details"] {
    return { authority_public_key: this.#doors.authority };
  }

  listener(transport: "tcp" | "iroh"): ReturnType<Reachable["listener"]> {
    if (transport === this.#place.listen.transport) return this.#doors.reachable;
    throw new Error(`the sniffer does not listen on ${transport}`);
  }

  /** When it started, by `performance.now()`: with that, times of several sniffers can be compared. */
  get startedAt(): number {
    return this.#start;
  }

  /** Connections that are open on both sides. */
  get connections(): number {
    return this.#links.size;
  }

  /** The end of the trace as it is now, for `since`. */
  mark(): Mark {
    return this.#trace.mark();
  }

  /** Everything the roles have sent one way, in order. */
  sightings(direction: Direction, { since = 0 }: { readonly since?: Mark } = {}): readonly Sighting<P>[] {
    return this.#trace
      .entries(since)
      .filter((entry): entry is Sighting<P> => entry.type === "seen" && entry.direction === direction);
  }

  /** The trace, a line a message, for a person to read. */
  trace(): string {
    return this.#trace.text();
  }

  /** Resolves to the first such message that a role has sent or sends. Rejects, showing the trace, after too long a wait. */
  async saw<N extends MessagePattern<P>>(
    direction: Direction,
    name: N,
    options: Look<P, N> & Patience = {},
  ): Promise<MessageLike<P, N>> {
    return (await this.sighting(direction, name, options)).message;
  }

  /** {@link saw}, with TLV fields, connection, time and fate of the message. */
  async sighting<N extends MessagePattern<P>>(
    direction: Direction,
    name: N,
    { since = 0, ...options }: Look<P, N> & Patience = {},
  ): Promise<SightingOf<P, N>> {
    return await this.#trace.next(
      (entry) => (entry.type === "seen" ? ifWanted(entry, { direction, name, ...options }) : undefined),
      { ...options, since, what: `${name} ${direction}` },
    );
  }

  /** Throws, showing the trace, when a role has sent such a message. */
  none<N extends MessagePattern<P>>(direction: Direction, name: N, { since = 0, ...look }: Look<P, N> = {}): void {
    const found = this.#trace.find(
      (entry) => (entry.type === "seen" ? ifWanted(entry, { direction, name, ...look }) : undefined),
      since,
    );
    if (found !== undefined) throw this.#trace.failure(`${found.message.name} went ${direction}`);
  }

  /** Resolves to the first end of a connection behind a mark. Rejects, showing the trace, after too long a wait. */
  async ended({ since = 0, ...patience }: { readonly since?: Mark } & Patience = {}): Promise<Ended> {
    const options = { ...patience, since, what: "the end of a connection" };
    return await this.#trace.next((entry) => (entry.type === "ended" ? entry : undefined), options);
  }

  /** Lets messages vanish. Of several interceptions that want a message, the newest has it. */
  drop<N extends MessagePattern<P>>(
    direction: Direction,
    name: N,
    selection: Selection<P, N> = {},
  ): Interception<P, N> {
    const parts = { ...selection, direction, name, trace: this.#trace };
    return this.#interceptions.add(new Interception<P, N>({ ...parts, act: () => ({ fate: "dropped" }) }));
  }

  /** Sends something else in place of messages. TLV fields stay behind a message that keeps its name. */
  replace<N extends MessagePattern<P>>(
    direction: Direction,
    name: N,
    { by, ...selection }: Selection<P, N> & { readonly by: Substitute<P, N> },
  ): Interception<P, N> {
    const act: Act<P, N> = ({ message }) => ({ fate: "replaced", messages: by(message) });
    const parts = { ...selection, direction, name, trace: this.#trace };
    return this.#interceptions.add(new Interception<P, N>({ ...parts, act }));
  }

  /** Holds messages up, and everything behind them on their connection and way, until it is told to let go. */
  hold<N extends MessagePattern<P>>(direction: Direction, name: N, selection: Selection<P, N> = {}): Hold<P, N> {
    return this.#interceptions.add(new Hold<P, N>({ ...selection, direction, name, trace: this.#trace }));
  }

  /** Cuts the connection at messages, which do not arrive any more. */
  cutAt<N extends MessagePattern<P>>(
    direction: Direction,
    name: N,
    selection: Selection<P, N> = {},
  ): Interception<P, N> {
    const parts = { ...selection, direction, name, trace: this.#trace };
    return this.#interceptions.add(new Interception<P, N>({ ...parts, act: () => ({ fate: "cut" }) }));
  }

  /**
   * Sends a message of the sniffer's own, past messages that are held, over the newest connection unless told. Throws when
   * there is none.
   */
  async inject(
    direction: Direction,
    message: DialectMessage<P>,
    { tlvs, connection }: { readonly tlvs?: readonly Tlv[]; readonly connection?: number } = {},
  ): Promise<void> {
    const link = this.#links.get(connection ?? Math.max(...this.#links.keys()));
    if (link === undefined) throw this.#trace.failure(`there is no connection to send ${message.name} over`);
    await link.say(direction, message, tlvs);
  }

  /** Breaks all connections, as a network that fails does. */
  cut(): void {
    this.#cutting.abort();
    this.#cutting = new AbortController();
    for (const link of this.#links.values()) link.cut("cut");
  }

  /** Accepts no more: to who dials from now on the upstream is down. Connections stay. */
  async refuse(): Promise<void> {
    await this.#doors.lock();
    this.#note("accepts no more");
  }

  /** Accepts again, at the same address. */
  async accept(): Promise<void> {
    await this.#doors.unlock((stream) => this.#take(stream));
    this.#note("accepts");
  }

  /** Throws what functions of the scenario have thrown while they were asked about a message. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#doors.lock();
    this.cut();
    await Promise.all(this.#serving);
    await this.#doors[Symbol.asyncDispose]();
    if (this.#faults.length > 0) throw new AggregateError(this.#faults, "an interception of the scenario failed");
  }

  #take(stream: ByteStream): void {
    this.#connections += 1;
    const serving = this.#serve(stream, this.#connections).finally(() => this.#serving.delete(serving));
    this.#serving.add(serving);
  }

  /** Carries what comes over one connection, until it has ended. */
  async #serve(stream: ByteStream, id: number): Promise<void> {
    const { signal } = this.#cutting;
    let by: Ended["by"] = "downstream";
    try {
      await using downstream = await this.#doors.welcome(stream, { signal });
      by = "upstream";
      await using upstream = await this.#doors.dial({ signal });
      signal.throwIfAborted();
      await this.#link(id, { downstream, upstream }).run();
    } catch (cause) {
      this.#onEnd(id, { by: signal.aborted ? "sniffer" : by, reason: reasonOf(cause) });
    }
  }

  #link(id: number, sides: Pick<LinkParts<P>, "downstream" | "upstream">): Link<P> {
    const link = new Link<P>({
      ...sides,
      id,
      protocol: this.#place.protocol,
      trace: this.#trace,
      interceptions: this.#interceptions,
      now: () => this.#now(),
      onFault: (fault) => this.#faults.push(fault),
      onEnd: (end) => this.#onEnd(id, end),
    });
    this.#links.set(id, link);
    const [from, to] = [sides.downstream, sides.upstream].map(
      (side) => `${side.info().transport} ${side.peer.slice(0, PEER_SHOWN)}`,
    );
    this.#note(`opened: ${from} -> ${to}`, id);
    return link;
  }

  #onEnd(connection: number, { by, reason }: Pick<Ended, "by" | "reason">): void {
    this.#links.delete(connection);
    this.#trace.add({ type: "ended", connection, at: this.#now(), by, reason });
  }

  #now(): number {
    return performance.now() - this.#start;
  }

  #note(text: string, connection: number | null = null): void {
    this.#trace.add({ type: "note", connection, at: this.#now(), text });
  }
}
