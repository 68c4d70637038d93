import { TokenBucket } from "@adit/token-bucket";
import { LanCache } from "./lan-cache.ts";
import { LanResponder } from "./lan-responder.ts";
import { queryPacket, readPacket } from "./packet.ts";

/** The port of mDNS, which every packet comes from and goes to. */
export const MDNS_PORT = 5353;

/** Packets a second that are looked at, and how many at once: a quiet network has one now and then. */
const PACKETS = { perSecond: 100, burst: 200 };

/** Totals since the start. */
export interface LanCounts {
  /** Packets that were read. */
  readonly read: number;
  /** Packets that are malformed, too large, or from another port. */
  readonly ignored: number;
  /** Packets that came faster than they are looked at. */
  readonly dropped: number;
}

/**
 * LAN discovery without sockets: packets in, packets to multicast out. Whatever comes in, it throws nothing and what it
 * keeps is bounded. Time is an argument, in milliseconds, never going back.
 */
export class LanCore {
  readonly responder: LanResponder = new LanResponder();
  readonly cache: LanCache = new LanCache();
  readonly #port: number;
  readonly #bucket: TokenBucket;
  #read = 0;
  #ignored = 0;
  #dropped = 0;

  /** `port`: another than mDNS's own, for tests. */
  constructor({ now, port = MDNS_PORT }: { readonly now: number; readonly port?: number | undefined }) {
    this.#port = port;
    this.#bucket = new TokenBucket(PACKETS, now);
  }

  counts(): LanCounts {
    return { read: this.#read, ignored: this.#ignored, dropped: this.#dropped };
  }

  /** Starts looking for an endpoint id; the packet asks for it. */
  ask(endpointId: string, now: number): Uint8Array {
    return queryPacket(this.cache.want(endpointId, now));
  }

  /** Takes a packet. Only mDNS's own port is heard (RFC 6762, 6): no process without rights can speak for a host. */
  receive(
    bytes: Uint8Array,
    from: { readonly address: string; readonly port: number },
    now: number,
  ): readonly Uint8Array[] {
    if (!this.#bucket.take(now)) {
      this.#dropped += 1;
      return [];
    }
    const packet = from.port === this.#port ? readPacket(bytes) : undefined;
    if (packet === undefined) {
      this.#ignored += 1;
      return [];
    }
    this.#read += 1;
    if (!packet.isResponse) return this.responder.answer(packet.questions, packet.answers, now);
    const questions = this.cache.take(packet.records, from.address, now);
    return questions.length === 0 ? [] : [queryPacket(questions)];
  }
}
