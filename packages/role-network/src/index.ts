export type { Attempt, ReconnectNews, RouteChange, UpstreamState } from "./attempt.ts";
export { type Authority, generateAuthority, loadAuthority } from "./authority.ts";
export { choiceReport } from "./choice-report.ts";
export { Downstreams } from "./downstreams.ts";
export { type KeepConnectedOptions, type KeptConnection, keepConnected } from "./keep-connected.ts";
export { moveTarget, moveTo } from "./move-target.ts";
export {
  type ClientHello,
  type DialledUpstream,
  type IrohNeed,
  irohNeed,
  type Network,
  openNetwork,
  type Served,
  type ServeOptions,
  transportOfAll,
} from "./network.ts";
export { isNegotiation, Outbound, type OutboundOptions } from "./outbound.ts";
export { peerMetrics } from "./peer-metrics.ts";
export { type PeerSettings, peerSettings, toPeerOptions } from "./peer-settings.ts";
export { peerLog, peersStatus } from "./peer-status.ts";
export { type ReconnectTarget, reconnectUpstream } from "./reconnect.ts";
export { reconnectReport } from "./reconnect-report.ts";
export { type NumberedRoute, RouteBook } from "./route-book.ts";
export {
  controlService,
  healthService,
  metricsService,
  RPC_ALPN,
  rpcServices,
  statusService,
} from "./rpc/services.ts";
export {
  checkServer,
  type ListenLimitSettings,
  listenLimitKeys,
  listenLimits,
  type ServerSettings,
  serverSettings,
  toListenLimits,
} from "./settings.ts";
export { listenerStatus, type NetworkStatus } from "./status.ts";
export {
  checkRoutes,
  type FallbackSettings,
  fallbackKeys,
  fallbackSettings,
  toUpstreamPolicy,
  transportsTo,
  upstreamEntryKeys,
  upstreamKeys,
} from "./upstream-routes.ts";
