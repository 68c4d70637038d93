/** How soon a silent peer is found dead. Needed because QUIC itself notices only after 30 s and cannot be told otherwise. */
export interface LivenessOptions {
  /** Pause between two looks at one connection's receive counter, in milliseconds. */
  readonly checkIntervalMs: number;
  /** Silence after which every look also sends an empty datagram, which a live peer's QUIC stack acknowledges, in milliseconds. */
  readonly probeAfterMs: number;
  /** Silence that means dead when no relay is configured, in milliseconds. Healthy idle links are heard every 5 to 6 s. */
  readonly deadAfterMs: number;
  /** The same with a relay configured: falling back from a dead UDP path to the relay takes QUIC 15.1 s. */
  readonly deadAfterWithRelayMs: number;
}

/** Twice the slowest healthy keep-alive without a relay; QUIC's path failover plus a margin with one. */
export const defaultLiveness: LivenessOptions = {
  checkIntervalMs: 1_000,
  probeAfterMs: 6_000,
  deadAfterMs: 13_000,
  deadAfterWithRelayMs: 22_000,
};

/** What to do about a connection after one look at it. */
export type LivenessVerdict = "alive" | "probe" | "dead";

/** Decides from the receive counter of one connection whether its peer still runs. Pure: time is an argument. */
export class Watchdog {
  readonly #options: LivenessOptions;
  readonly #deadAfterMs: number;
  #counter: number;
  #heardAt: number;
  #lookedAt: number;

  /** `now` in milliseconds of any steady clock; `hasRelay` picks the longer limit. */
  constructor(options: LivenessOptions, hasRelay: boolean, now: number) {
    this.#options = options;
    this.#deadAfterMs = hasRelay ? options.deadAfterWithRelayMs : options.deadAfterMs;
    this.#counter = -1;
    this.#heardAt = now;
    this.#lookedAt = now;
  }

  /** Takes the datagrams received so far (any change counts as heard) and the time, and judges. */
  look(counter: number, now: number): LivenessVerdict {
    const sinceLook = now - this.#lookedAt;
    this.#lookedAt = now;
    if (counter !== this.#counter) {
      this.#counter = counter;
      this.#heardAt = now;
      return "alive";
    }
    // A late look means this process (or its host) slept, and the peer's answers may still be on their way in.
    if (sinceLook > 3 * this.#options.checkIntervalMs) this.#heardAt += sinceLook - this.#options.checkIntervalMs;
    const silent = now - this.#heardAt;
    if (silent >= this.#deadAfterMs) return "dead";
    return silent >= this.#options.probeAfterMs ? "probe" : "alive";
  }
}

/** Counters of one QUIC connection and of the streams this software reads from it. */
export interface ReceiveCounters {
  /** UDP payload bytes received on the connection. */
  readonly udpBytes: number;
  /** UDP datagrams received on the connection. */
  readonly udpDatagrams: number;
  /** Bytes read from the connection's streams. */
  readonly streamBytes: number;
  /** How many streams are read. */
  readonly streams: 1 | 2;
}

/** QUIC header, tag, frame headers and acknowledgements of one datagram; 55 measured on bulk transfers. */
const DATAGRAM_OVERHEAD = 100;
/** What a stream may hold unread: QUIC's window is 1.25 MB. */
const WINDOW = 1.25 * 1024 * 1024;
/** Path probes and spurious retransmissions. */
const NOISE_ALLOWANCE = 1.75 * 1024 * 1024;

/**
 * Whether a connection received clearly more than its streams explain: the peer fills other ones, which QUIC buffers
 * (1.25 MB each, up to 200) and nobody reads. Half of the streams' bytes is tolerated on top for lossy links.
 */
export function receivesExcess(counters: ReceiveCounters): boolean {
  const unexplained = counters.udpBytes - counters.udpDatagrams * DATAGRAM_OVERHEAD - counters.streamBytes;
  return unexplained > NOISE_ALLOWANCE + counters.streams * WINDOW + counters.streamBytes / 2;
}
