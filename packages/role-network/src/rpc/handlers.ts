import { setTimeout as sleep } from "node:timers/promises";
import { implement, RpcError, type ServedService } from "@adit/network-helpers/rpc";
import { type Operations, peerText, type RoleContext, type RpcServiceName, statusJson } from "@adit/role-kit";
import { controlService, healthService, metricsService, statusService } from "./services.ts";

/** What the handlers act on. */
export interface HandlerParts {
  readonly context: Pick<RoleContext, "metrics" | "now" | "reload">;
  readonly operations: Operations;
  /** Breaks a connection off; null when there is none with that id, else its peer. */
  readonly disconnect: (id: number) => string | null;
  /** Where the services are called over Iroh, as of now; nulls where they are not. */
  readonly irohAddress: () => { readonly endpoint_id: string | null; readonly ticket: string | null };
}

/** The services with what they do in this role. */
export function serviceHandlers(parts: HandlerParts): Readonly<Record<RpcServiceName, ServedService>> {
  return { health: health(parts), status: status(parts), metrics: metrics(parts), control: control(parts) };
}

function readiness(operations: Operations) {
  const { role, version } = operations;
  const reason = operations.notReadyReason();
  return { role, version, uptime_secs: operations.uptimeSecs(), ready: reason === null, reason };
}

function health({ operations }: HandlerParts): ServedService {
  return implement(healthService, { check: () => readiness(operations) });
}

function status({ operations, irohAddress }: HandlerParts): ServedService {
  return implement(statusService, {
    get: ({ entries }) => ({
      ...readiness(operations),
      ...irohAddress(),
      ...shortened(plain(operations.status()), entries),
    }),
  });
}

function metrics({ context }: HandlerParts): ServedService {
  return implement(metricsService, {
    read: async () => {
      const { contentType, body } = await context.metrics.expose();
      return { content_type: contentType, body };
    },
    watch: async function* ({ interval_secs, prefix }, { signal }) {
      while (!signal.aborted) {
        yield { at: context.now(), samples: samplesOf((await context.metrics.expose()).body, prefix) };
        await sleep(interval_secs * 1000, undefined, { signal }).catch(() => undefined);
      }
    },
  });
}

function control({ context, operations, disconnect }: HandlerParts): ServedService {
  return implement(controlService, {
    drain: (_input, { peer, transport }) => {
      operations.drain(`asked by ${peerText(peer)} over ${transport}`);
      return { draining: true };
    },
    reload: async () => {
      const { result, applied, needsRestart, problems } = await context.reload();
      return { result, applied: [...applied], needs_restart: [...needsRestart], problems: [...problems] };
    },
    log_level: ({ level }) => ({ level, before: operations.setLogLevel(level) }),
    disconnect: ({ id }) => {
      const peer = disconnect(id);
      if (peer === null) throw new RpcError("not-found", `no connection has the id ${id}; see the status document`);
      return { peer };
    },
  });
}

/** What JSON can say of a status document. */
function plain(document: unknown): Record<string, unknown> {
  const value: unknown = JSON.parse(statusJson(document ?? {}));
  return typeof value === "object" && value !== null && !Array.isArray(value) ? { ...value } : {};
}

/** Cuts every list at the top of a document to `entries`. */
export function shortened(
  document: Readonly<Record<string, unknown>>,
  entries: number,
): { readonly document: Record<string, unknown>; readonly cut: Record<string, number> } {
  const cut: Record<string, number> = {};
  const short = Object.entries(document).map(([key, value]) => {
    if (!Array.isArray(value) || value.length <= entries) return [key, value];
    cut[key] = value.length;
    return [key, value.slice(0, entries) as unknown];
  });
  return { document: Object.fromEntries(short) as Record<string, unknown>, cut };
}

/** The samples of a Prometheus page by name and labels. What JSON has no number for (NaN, +Inf) is left out. */
export function samplesOf(page: string, prefix: string): Record<string, number> {
  const samples: Record<string, number> = {};
  for (const line of page.split("\n")) {
    if (!line.startsWith(prefix) || line.startsWith("#")) continue;
    const space = line.lastIndexOf(" ");
    const value = Number(line.slice(space + 1));
    if (space > 0 && Number.isFinite(value)) samples[line.slice(0, space)] = value;
  }
  return samples;
}
