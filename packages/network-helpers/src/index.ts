export { acceptSv2, type Sv2Server } from "./accept-sv2.ts";
export { Backoff, pause } from "./backoff.ts";
export type { ByteStream, Listener, StreamInfo, Transport } from "./byte-stream.ts";
export { type ChoiceDecision, ChoiceDecisions, type ChoiceReason, type InUse } from "./choice-decision.ts";
export { Condition } from "./condition.ts";
export { aborted, Deadline, within } from "./deadline.ts";
export { type DialSv2Options, dialSv2, type Sv2Client } from "./dial-sv2.ts";
export { abortError, NetworkError, type NetworkErrorCode, printable } from "./errors.ts";
export { type ConnectionInfo, type FrameConnection, nextConnectionId } from "./frame-connection.ts";
export type { FrameReader } from "./frame-reader.ts";
export type { FrameWriter } from "./frame-writer.ts";
export { HandshakeGate, type HandshakeGateOptions } from "./handshake-gate.ts";
export { formatHostPort, type HostPort, parseHostPort } from "./host-port.ts";
export { createKeyFile } from "./iroh/key-file.ts";
export { reconnectRules } from "./reconnect-rules.ts";
export { type RouteChanges, RouteTable } from "./route-table.ts";
export {
  type ClientSecurity,
  MAX_PAYLOAD_BEFORE_SETUP,
  MAX_PAYLOAD_FROM_SERVER,
  type ServerSecurity,
  secureInitiator,
  secureResponder,
  systemEntropy,
} from "./secure.ts";
export {
  type ListenCounts,
  type ListenEvent,
  type ListenerStatus,
  type ListenOn,
  type ServeOptions,
  type Sv2Listeners,
  serveSv2,
} from "./serve-sv2.ts";
export { defaultListenLimits, type ListenLimits, type RefusalReason } from "./source-limits.ts";
export type { Received, Sv2Connection, Sv2Reader, Sv2Writer } from "./sv2-connection.ts";
export {
  type DialEvent,
  type DialUpstreamOptions,
  dialUpstream,
  type UpstreamAddress,
  type UpstreamTransports,
} from "./upstream.ts";
export { type ChoicePlan, type RouteFailure, UpstreamChoice, type UpstreamChoiceOptions } from "./upstream-choice.ts";
export { defaultUpstreamPolicy, type KnownRoute, type RouteState, type UpstreamPolicy } from "./upstream-route.ts";
