export { type BoundedKeys, boundedKeys } from "./config/bounded-keys.ts";
export { ConfigError, type ConfigErrorCode, type ConfigProblem } from "./config/config-error.ts";
export type { Environment } from "./config/environment.ts";
export {
  type AuthoritySettings,
  address,
  authoritySettings,
  checkAuthority,
  checkUpstream,
  encryptionKind,
  type IrohSettings,
  irohSettings,
  lastAnswersMs,
  type ProcessSettings,
  processSettings,
  transportKind,
  type UpstreamSettings,
  upstreamSettings,
} from "./config/fragments.ts";
export { camelKey, snakeKey } from "./config/key-case.ts";
export { type ConfigSource, loadConfig, MAX_CONFIG_BYTES, parseConfig } from "./config/load-config.ts";
export { configReference, type ReferencedRole } from "./config/reference.ts";
export { checkRpc, type RpcServiceName, type RpcSettings, rpcSettings } from "./config/rpc-settings.ts";
export type { HttpCall, HttpMethod, HttpMethods } from "./http-calls.ts";
export { Lifetime, type LifetimeOptions } from "./lifetime.ts";
export type { ReloadReport, ReloadResult } from "./live-config.ts";
export {
  describeError,
  type LogLevel,
  type LogOptions,
  logLevels,
  openLog,
  peerFields,
  peerText,
  reasonText,
} from "./log.ts";
export {
  type CounterMetric,
  type GaugeMetric,
  type HistogramMetric,
  type MetricDescription,
  type MetricsRegister,
  metricsRegister,
} from "./metrics.ts";
export {
  isLoopback,
  type Monitoring,
  type MonitoringSources,
  serveMonitoring,
  splitAddress,
  statusJson,
} from "./monitoring.ts";
export type { Operations } from "./operations.ts";
export { Readiness } from "./readiness.ts";
export { exitAfter, noReload, type ReadyMessage, type RoleContext, type RoleDefinition, runRole } from "./run-role.ts";
export { version } from "./version.ts";
