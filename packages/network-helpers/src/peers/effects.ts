/** What became of a message; each message has exactly one outcome. */
export type MessageOutcome =
  /** Its delivery succeeded, once. */
  | { readonly kind: "delivered" }
  /** It waited longer than its time to live. */
  | { readonly kind: "expired" }
  /** It was not taken, or the connector stopped before its turn. */
  | { readonly kind: "refused"; readonly reason: MessageRefusal }
  /** Its delivery failed as often as it may; `error` is the last failure. */
  | { readonly kind: "dropped"; readonly attempts: number; readonly error: Error };

/** Why a message was refused. */
export type MessageRefusal =
  /** The peer's buffer has no room for it. */
  | "buffer-full"
  /** It would not even fit an empty buffer. */
  | "message-too-large"
  /** Too many peers are remembered, and none of them can be forgotten. */
  | "too-many-peers"
  /** The connector has stopped. */
  | "stopped";

/** Why the use of a connection was refused. */
export type LeaseRefusal =
  /** As many connections as allowed, all in use. */
  | "no-slot"
  /** The peer has failed too often. */
  | "breaker-open"
  /** The dial it waited for failed. */
  | "dial-failed"
  | Extract<MessageRefusal, "too-many-peers" | "stopped">;

/** Why a connection was closed. */
export type CloseReason =
  /** Nobody used it for long. */
  | "idle"
  /** It was the one idle for the longest when another peer needed its place. */
  | "evicted"
  /** A health check failed. */
  | "unhealthy"
  /** A delivery or a use failed. */
  | "failed"
  /** It ended by itself. */
  | "ended"
  /** The connector stopped. */
  | "stopped";

/** What happened to a peer, for the log; the type is the event's stable name. */
export type PeerEvent =
  | { readonly type: "peer-connected"; readonly peer: string }
  | { readonly type: "peer-dial-failed"; readonly peer: string; readonly failures: number; readonly error: Error }
  | { readonly type: "peer-closed"; readonly peer: string; readonly reason: CloseReason }
  | {
      readonly type: "breaker-opened";
      readonly peer: string;
      readonly failures: number;
      /** Milliseconds until a trial. */
      readonly openMs: number;
    }
  | { readonly type: "breaker-half-opened"; readonly peer: string }
  | { readonly type: "breaker-closed"; readonly peer: string };

/** What the shell is to do. Connections, messages and uses of connections (leases) have numbers. */
export type PeerEffect =
  | { readonly type: "dial"; readonly peer: string; readonly connection: number }
  | { readonly type: "deliver"; readonly peer: string; readonly connection: number; readonly message: number }
  | { readonly type: "check"; readonly peer: string; readonly connection: number }
  | { readonly type: "close"; readonly peer: string; readonly connection: number }
  | { readonly type: "settle"; readonly message: number; readonly outcome: MessageOutcome }
  | { readonly type: "grant"; readonly peer: string; readonly lease: number; readonly connection: number }
  | {
      readonly type: "refuse";
      readonly peer: string;
      readonly lease: number;
      readonly reason: LeaseRefusal;
      /** The dial's failure, if that was it. */
      readonly error?: Error;
    }
  | { readonly type: "report"; readonly event: PeerEvent };

/** Totals since the start. */
export interface PeerCounts {
  readonly dials: number;
  readonly dialFailures: number;
  readonly delivered: number;
  readonly expired: number;
  readonly refused: number;
  readonly dropped: number;
  readonly leasesGranted: number;
  readonly leasesRefused: number;
  readonly breakersOpened: number;
  /** Connections closed, by reason. */
  readonly closed: Readonly<Record<CloseReason, number>>;
}

type Mutable<T> = { -readonly [Key in keyof T]: T[Key] };

/** Collects effects in their order, and counts them. */
export class PeerOutbox {
  readonly counts: Mutable<PeerCounts> & { readonly closed: Record<CloseReason, number> } = {
    dials: 0,
    dialFailures: 0,
    delivered: 0,
    expired: 0,
    refused: 0,
    dropped: 0,
    leasesGranted: 0,
    leasesRefused: 0,
    breakersOpened: 0,
    closed: { idle: 0, evicted: 0, unhealthy: 0, failed: 0, ended: 0, stopped: 0 },
  };
  #effects: PeerEffect[] = [];

  /** Hands over what was collected since the last call. */
  drain(): readonly PeerEffect[] {
    const effects = this.#effects;
    this.#effects = [];
    return effects;
  }

  add(effect: PeerEffect): void {
    this.#effects.push(effect);
    switch (effect.type) {
      case "dial":
        this.counts.dials++;
        break;
      case "settle":
        this.counts[effect.outcome.kind]++;
        break;
      case "grant":
        this.counts.leasesGranted++;
        break;
      case "refuse":
        this.counts.leasesRefused++;
        break;
      case "report":
        this.#count(effect.event);
        break;
      case "deliver":
      case "check":
      case "close":
        break;
      default:
        effect satisfies never;
    }
  }

  #count(event: PeerEvent): void {
    switch (event.type) {
      case "peer-dial-failed":
        this.counts.dialFailures++;
        break;
      case "peer-closed":
        this.counts.closed[event.reason]++;
        break;
      case "breaker-opened":
        this.counts.breakersOpened++;
        break;
      case "peer-connected":
      case "breaker-half-opened":
      case "breaker-closed":
        break;
      default:
        event satisfies never;
    }
  }
}
