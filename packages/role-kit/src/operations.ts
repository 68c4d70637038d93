import type { HttpMethods } from "./http-calls.ts";

/** What reading a role's config again has changed. */
export interface ReloadReport {
  /** Keys whose new values are in force. */
  readonly applied: readonly string[];
  /** Keys whose new values take a restart. */
  readonly needsRestart: readonly string[];
}

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
  /** Reads the config again; undefined while the role cannot. */
  reload: (() => Promise<ReloadReport>) | undefined;
  /** Serves methods on the monitoring server, where there is one. */
  serveHttp(methods: HttpMethods): void;
}
