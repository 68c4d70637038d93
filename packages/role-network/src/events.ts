import type { DialEvent, ListenEvent } from "@adit/network-helpers";
import type { RoleContext } from "@adit/role-kit";

/** A line of the log that operators and their programs may count on: its text stays the same between releases. */
export interface LogEvent {
  readonly level: "debug" | "info" | "warn" | "error";
  /** Names of the line's fields. */
  readonly fields: readonly string[];
  /** When it is written. */
  readonly meaning: string;
}

/** What the network tells of in the log, by the text of the line. `docs/reference/log-events.md` is made of this table. */
export const networkEvents = {
  "dialling upstream": {
    level: "info",
    fields: ["transport", "address"],
    meaning: "An attempt begins, over one transport.",
  },
  "upstream dialled": {
    level: "info",
    fields: ["transport", "address"],
    meaning: "The transport connects; Noise and SetupConnection come next.",
  },
  "upstream dial failed": {
    level: "info",
    fields: ["transport", "address", "error"],
    meaning: "The attempt has failed. Whether anything is done about it, the next line tells.",
  },
  "upstream speaks two streams": { level: "info", fields: ["peer"], meaning: '`streams = "dual"` is in use.' },
  "the upstream knows one stream only, which is used": {
    level: "info",
    fields: ["address"],
    meaning: '`streams = "dual"` was asked for, and the other side does not know it.',
  },
  "iroh node up": {
    level: "info",
    fields: ["endpointId", "addresses", "relay", "lanDiscovery"],
    meaning: "The node has its UDP ports.",
  },
  "iroh relay reached": {
    level: "info",
    fields: ["endpointId", "relays"],
    meaning: "Peers that know the endpoint id and a relay get to this node.",
  },
  "iroh relay not reached": {
    level: "warn",
    fields: ["endpointId", "afterMs"],
    meaning:
      "They do not, yet. The relay is down or turns the `auth_token` away, its certificate is none that is trusted publicly, or a firewall keeps this machine from it.",
  },
  "iroh node not started": {
    level: "error",
    fields: ["error", "retryInMs"],
    meaning: "It is started again, unless the role has no other way.",
  },
  "iroh node stopped by itself": {
    level: "error",
    fields: ["endpointId", "retryInMs"],
    meaning: "It is started again, and its listeners with it.",
  },
  "iroh peer found": {
    level: "info",
    fields: ["endpointId", "tried"],
    meaning: "A dial has connected; `tried` says what each source of addresses gave.",
  },
  "iroh connection turned away": {
    level: "debug",
    fields: ["error"],
    meaning: "A peer that dialled did not get as far as a listener.",
  },
  "iroh path changed": {
    level: "info",
    fields: ["connection", "peer", "from", "to", "rttMs"],
    meaning: "A live connection goes another way: `direct`, or over a `relay`. Noticed within five seconds.",
  },
  "listener up": { level: "info", fields: ["transport", "address", "peer"], meaning: "Peers can connect." },
  "listener failed": {
    level: "error",
    fields: ["transport", "address", "error", "retryInMs", "peer"],
    meaning: "Nobody can connect over this transport until the next attempt; the others go on.",
  },
  "connection opened": {
    level: "debug",
    fields: ["transport", "connection", "peer"],
    meaning: "A peer has finished its set-up.",
  },
  "connection closed": {
    level: "debug",
    fields: ["transport", "connection", "error", "peer"],
    meaning: "A peer's connection is over.",
  },
  "connection refused": {
    level: "debug",
    fields: ["transport", "peer", "reason"],
    meaning: "A limit was met; `reason` names it.",
  },
  "handshake failed": {
    level: "debug",
    fields: ["transport", "peer", "error"],
    meaning: "A peer did not get through Noise or SetupConnection.",
  },
  "answering under two endpoint ids": {
    level: "info",
    fields: ["current", "currentTicket", "former", "until"],
    meaning: "A rotated key's overlap has begun, or goes on after a start.",
  },
  "peer dials the former endpoint id: give it the current one": {
    level: "warn",
    fields: ["peer", "former", "current", "until"],
    meaning: "Said once of each peer during an overlap.",
  },
  "former endpoint id answered no more": {
    level: "info",
    fields: ["endpointId"],
    meaning: "The overlap is over.",
  },
} as const satisfies Readonly<Record<string, LogEvent>>;

/** Text of one of {@link networkEvents}. */
export type NetworkEvent = keyof typeof networkEvents;

/** The events of a dial, by what it tells. */
export const dialEvents = {
  dialling: "dialling upstream",
  dialled: "upstream dialled",
  "dial-failed": "upstream dial failed",
} as const satisfies Record<DialEvent["type"], NetworkEvent>;

/** The events of listeners, by what they tell. */
export const listenEvents = {
  "listener-up": "listener up",
  "listener-failed": "listener failed",
  "connection-opened": "connection opened",
  "connection-closed": "connection closed",
  "connection-refused": "connection refused",
  "handshake-failed": "handshake failed",
} as const satisfies Record<ListenEvent["type"], NetworkEvent>;

/** What the line of an event says: each of its fields, or those that are known. */
type FieldsOf<Event extends NetworkEvent> = Readonly<
  Partial<Record<(typeof networkEvents)[Event]["fields"][number], unknown>>
>;

/** Writes the line of an event. */
export function tell<Event extends NetworkEvent>(log: RoleContext["log"], event: Event, fields: FieldsOf<Event>): void {
  const said: Readonly<Record<string, unknown>> = fields;
  log[networkEvents[event].level](said, event);
}
