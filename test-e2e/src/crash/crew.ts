import { EventEmitter } from "node:events";
import type { IrohNodeManager } from "@adit/network-helpers/iroh";
import { loopbackNode } from "../harness/dial.ts";
import type { Link, LinkEvents } from "../soak/link.ts";
import type { SeatSpec } from "../soak/messages.ts";
import { Sv1Link } from "../soak/sv1-link.ts";
import { Sv2Link } from "../soak/sv2-link.ts";
import { type Cast, TRANSLATOR_IDENTITY } from "./cast.ts";
import { Miner, type Place } from "./miner.ts";
import { MinersBook } from "./miners-book.ts";

/** Hashes a second of a miner by its place: those of the translator share a channel, and send few of their shares up. */
const hashrates: Readonly<Record<Place, number>> = { "sv2-tcp": 8_000, "sv2-iroh": 8_000, sv1: 20_000 };
const TURN_MS = 20;
const EXTENDED = "extended";

/** Who mines where. Standard channels and those of a group take other messages than extended ones. */
const seats: readonly { readonly place: Place; readonly channel: SeatSpec["channel"] }[] = [
  { place: "sv2-tcp", channel: EXTENDED },
  { place: "sv2-tcp", channel: "standard" },
  { place: "sv2-iroh", channel: EXTENDED },
  { place: "sv2-iroh", channel: "group" },
  { place: "sv1", channel: EXTENDED },
  { place: "sv1", channel: EXTENDED },
  { place: "sv1", channel: EXTENDED },
];

/** Hashes a second of all miners. */
export const CREW_HASHRATE: number = seats.reduce((sum, { place }) => sum + hashrates[place], 0);

/** The miners, in this process. Disposing sends them home. */
export class Crew implements AsyncDisposable {
  readonly book = new MinersBook();
  /** Emits `share`, `block`, `acknowledgement` and `job`. */
  readonly moments = new EventEmitter();
  readonly miners: readonly Miner[];
  readonly #node: IrohNodeManager;
  readonly #runs: readonly Promise<void>[];
  readonly #timer: NodeJS.Timeout;

  private constructor(cast: Cast, node: IrohNodeManager) {
    this.#node = node;
    this.miners = seats.map(({ place, channel }, index) => {
      const name = `${place}.${index}`;
      const owner = { identity: place === "sv1" ? TRANSLATOR_IDENTITY : name, isRelayed: place === "sv1" };
      const dial = (events: LinkEvents): Promise<Link> => this.#dial(cast, { place, channel, name }, events);
      return new Miner({ owner, place, book: this.book, moments: this.moments, dial });
    });
    this.#runs = this.miners.map((miner) => miner.run());
    this.#timer = setInterval(() => {
      for (const miner of this.miners) miner.hash((hashrates[miner.place] * TURN_MS) / 1000);
    }, TURN_MS);
  }

  static async start(cast: Cast): Promise<Crew> {
    return new Crew(cast, await loopbackNode());
  }

  /** Shares without an answer. */
  get pending(): number {
    return this.miners.reduce((sum, { pending }) => sum + pending, 0);
  }

  /** Whether some miner of a place has an acknowledgement for a share that it sent later than `at`. */
  hasProven(place: Place, at: number): boolean {
    return this.miners.some((miner) => miner.place === place && miner.lastProvenAt > at);
  }

  /** Whether some miner of a place has an acknowledgement for a share of a job that came later than `at`. */
  hasProvenJob(place: Place, at: number): boolean {
    return this.miners.some((miner) => miner.place === place && miner.lastProvenJobAt > at);
  }

  /** Finds no more shares; connections stay. */
  rest(): void {
    clearInterval(this.#timer);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.rest();
    for (const miner of this.miners) miner.stop();
    await this.#node[Symbol.asyncDispose]();
    await Promise.all(this.#runs);
  }

  async #dial(
    cast: Cast,
    { place, channel, name }: { readonly place: Place; readonly channel: SeatSpec["channel"]; readonly name: string },
    events: LinkEvents,
  ): Promise<Link> {
    if (place === "sv1") return await Sv1Link.dial(cast.translatorAddress, `crash.${name}`, events);
    const spec: SeatSpec = { group: place, identity: name, channel, node: 0 };
    const node = place === "sv2-iroh" ? this.#node : undefined;
    return await Sv2Link.dial({ spec, targets: cast.poolTargets, node, hashrate: hashrates[place] }, events);
  }
}
