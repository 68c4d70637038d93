import type { HttpMethods } from "./http-calls.ts";
import type { LogLevel } from "./log.ts";

/** What whoever operates a running role may ask of it, and have it do. The package role-network makes calls of it. */
export interface Operations {
  /** As in the command: `pool`. */
  readonly role: string;
  readonly version: string;
  uptimeSecs(): number;
  /** Null while ready, else the reason why not. */
  notReadyReason(): string | null;
  /** The role's own status document. */
  status(): unknown;
  /** Stops the role as SIGTERM does. */
  drain(reason: string): void;
  /** Logs at this level until it is changed again, also by a reload of a config that says another. Returns the former one. */
  setLogLevel(level: LogLevel): LogLevel;
  /** Serves methods on the monitoring server, where there is one. */
  serveHttp(methods: HttpMethods): void;
}
