import { createSocket, type RemoteInfo, type Socket } from "node:dgram";
import { once } from "node:events";
import { isIPv6 } from "node:net";

/** What a link does to the datagrams of one direction. */
export interface LinkConditions {
  /** Share of datagrams that are dropped, 0 to 1. */
  readonly loss: number;
  /** How long each is on the way, in milliseconds. */
  readonly delayMs: number;
  /** Up to how much longer, evenly spread, in milliseconds: more than their distance reorders them. */
  readonly jitterMs: number;
}

/** A link that does nothing. */
export const clearLink: LinkConditions = { loss: 0, delayMs: 0, jitterMs: 0 };

/** Totals of a link, both directions together. */
export interface LinkCounts {
  readonly forwarded: number;
  readonly dropped: number;
}

/**
 * A UDP link in this process, for tests: datagrams that reach `address` go to the target from a socket of their sender's
 * own, and answers the same way back, each delayed or lost as the conditions say. Chance comes from a seed.
 */
export class UdpLink implements AsyncDisposable {
  /** `IP:PORT` to send to. */
  readonly address: string;
  readonly #front: Socket;
  readonly #target: { readonly host: string; readonly port: number };
  readonly #random: () => number;
  readonly #backs = new Map<string, Socket>();
  readonly #onTheWay = new Set<ReturnType<typeof setTimeout>>();
  #conditions: LinkConditions;
  #forwarded = 0;
  #dropped = 0;

  private constructor(front: Socket, options: LinkOptions) {
    this.#front = front;
    this.#target = options.target;
    this.#conditions = options.conditions;
    this.#random = randomFrom(options.seed);
    const { address, port } = front.address();
    this.address = isIPv6(address) ? `[${address}]:${port}` : `${address}:${port}`;
    front.on("message", (bytes, from) => this.#pass(() => this.#send(bytes, from)));
  }

  /** Opens a link on a free port of `host`, a loopback address. */
  static async open(options: LinkOptions & { readonly host: string }): Promise<UdpLink> {
    const front = createSocket(isIPv6(options.host) ? "udp6" : "udp4");
    front.bind(0, options.host);
    await once(front, "listening");
    return new UdpLink(front, options);
  }

  /** Changes the weather for datagrams from now on. */
  set(conditions: LinkConditions): void {
    this.#conditions = conditions;
  }

  /** What has passed and what was lost. */
  get counts(): LinkCounts {
    return { forwarded: this.#forwarded, dropped: this.#dropped };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const timer of this.#onTheWay) clearTimeout(timer);
    const sockets = [this.#front, ...this.#backs.values()];
    await Promise.all(sockets.map((socket) => new Promise<void>((resolve) => socket.close(() => resolve()))));
  }

  #pass(deliver: () => void): void {
    const { loss, delayMs, jitterMs } = this.#conditions;
    if (this.#random() < loss) {
      this.#dropped += 1;
      return;
    }
    this.#forwarded += 1;
    const after = delayMs + this.#random() * jitterMs;
    if (after === 0) return deliver();
    const timer = setTimeout(() => {
      this.#onTheWay.delete(timer);
      deliver();
    }, after);
    this.#onTheWay.add(timer);
  }

  #send(bytes: Uint8Array, from: RemoteInfo): void {
    const sender = `${from.address} ${from.port}`;
    const back = this.#backs.get(sender) ?? this.#back(from);
    this.#backs.set(sender, back);
    back.send(bytes, this.#target.port, this.#target.host);
  }

  #back(to: RemoteInfo): Socket {
    const socket = createSocket(isIPv6(this.#target.host) ? "udp6" : "udp4");
    socket.on("message", (bytes) => this.#pass(() => this.#front.send(bytes, to.port, to.address)));
    return socket;
  }
}

/** Where a link leads, and how it is. */
export interface LinkOptions {
  readonly target: { readonly host: string; readonly port: number };
  readonly conditions: LinkConditions;
  readonly seed: number;
}

/** Numbers from 0 to 1, the same for the same seed: a linear congruential generator, random enough for weather. */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}
