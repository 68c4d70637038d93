export type { MessagePort, PeerConnectorParts } from "./connector-parts.ts";
export type {
  CloseReason,
  LeaseRefusal,
  MessageOutcome,
  MessageRefusal,
  PeerCounts,
  PeerEffect,
  PeerEvent,
} from "./effects.ts";
export { defaultPeerOptions, type PeerOptions } from "./options.ts";
export type { LeaseResult, PeerStats } from "./peer.ts";
export { PeerBook, type PeerBookStats, type PeerInput } from "./peer-book.ts";
export { PeerConnector } from "./peer-connector.ts";
