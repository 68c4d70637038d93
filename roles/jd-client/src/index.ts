export { type JdClientConfig, jdClientConfig } from "./config.ts";
export type {
  CounterName,
  JdClientEffect,
  JdClientInput,
  SessionId,
  SessionInput,
  SessionSetup,
  UpstreamEffect,
} from "./core/effects.ts";
export type { FailureCode } from "./core/failure.ts";
export { JdClientCore } from "./core/jd-client-core.ts";
export type { JdClientOptions } from "./core/jd-client-options.ts";
export type { JdClientStatus } from "./core/status.ts";
export type { UpstreamPlan, UpstreamRoute, UpstreamRules, UpstreamWay } from "./core/upstream-plan.ts";
export { jdClientRole } from "./role.ts";
