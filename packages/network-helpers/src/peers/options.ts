/** Times and limits of the connections to peers (requirement A16). Times are in milliseconds. */
export interface PeerOptions {
  /** Connections at once, to all peers together; those being dialled and those being closed count. */
  readonly maxConnections: number;
  /** Peers that are remembered at once, connected or not. */
  readonly maxPeers: number;
  /** Failures in a row that open a peer's circuit breaker. */
  readonly breakerFailures: number;
  /** Time until an open breaker lets one trial through. */
  readonly breakerOpenMs: number;
  /** First bound of the pause after a failure; the pause is drawn between zero and its bound, which doubles. */
  readonly backoffMinMs: number;
  /** Last bound of that pause. */
  readonly backoffMaxMs: number;
  /** Time a message may wait for its delivery. */
  readonly messageTtlMs: number;
  /** Deliveries of a message that may fail before it is dropped. */
  readonly messageAttempts: number;
  /** Bytes of messages that may wait for one peer; a message counts as {@link MIN_MESSAGE_BYTES} at least. */
  readonly maxBufferedBytes: number;
  /** Time from one health check of a connection to the next; `Infinity` for none. */
  readonly healthCheckMs: number;
  /** Longest health check. */
  readonly healthTimeoutMs: number;
  /** Time after which a connection nobody used is closed, and after which a peer nobody asked for is forgotten. */
  readonly idleMs: number;
  /** Longest dialling. */
  readonly dialTimeoutMs: number;
  /** Longest delivery of one message. */
  readonly deliverTimeoutMs: number;
  /** Longest graceful close; a connection that takes longer no longer counts, though it may still exist. */
  readonly closeTimeoutMs: number;
}

/** What an empty message counts as in a buffer: about what keeping it costs. */
export const MIN_MESSAGE_BYTES = 64;

/** Limits as requirement A16 names them; where it names none, what suits some dozen peers over the internet. */
export const defaultPeerOptions: PeerOptions = {
  maxConnections: 100,
  maxPeers: 1000,
  breakerFailures: 5,
  breakerOpenMs: 30_000,
  backoffMinMs: 500,
  backoffMaxMs: 30_000,
  messageTtlMs: 300_000,
  messageAttempts: 3,
  maxBufferedBytes: 1 << 20,
  healthCheckMs: 30_000,
  healthTimeoutMs: 10_000,
  idleMs: 300_000,
  dialTimeoutMs: 10_000,
  deliverTimeoutMs: 10_000,
  closeTimeoutMs: 5_000,
};
