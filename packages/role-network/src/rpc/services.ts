import { call, type Service, service, stream } from "@adit/network-helpers/rpc";
import { logLevels, type RpcServiceName } from "@adit/role-kit";
import { z } from "zod";

/** The name that RPC over Iroh goes by; a frame that old software cannot read will get another. */
export const RPC_ALPN = "adit-rpc/1";

const readiness = {
  role: z.string(),
  version: z.string(),
  uptime_secs: z.int(),
  ready: z.boolean(),
  /** Null while ready. */
  reason: z.string().nullable(),
} as const;

/** Whether a role is there and has work to give. */
export const healthService = service({
  name: "health",
  methods: { check: call({ input: z.object({}), output: z.object(readiness) }) },
});

/** What a role is doing. */
export const statusService = service({
  name: "status",
  methods: {
    get: call({
      input: z.object({
        /** Longest list in the answer; a large pool's connections do not fit a payload. */
        entries: z.int().min(0).max(10_000).default(100),
      }),
      output: z.object({
        ...readiness,
        /** Where this is called over Iroh, as of now; null where it is not. */
        endpoint_id: z.string().nullable(),
        ticket: z.string().nullable(),
        /** The document behind `/api/v1/status`. */
        document: z.record(z.string(), z.unknown()),
        /** Lists that were longer, and how long. */
        cut: z.record(z.string(), z.int()),
      }),
    }),
  },
});

/** A role's numbers. */
export const metricsService = service({
  name: "metrics",
  methods: {
    /** The page behind `/metrics`. */
    read: call({ input: z.object({}), output: z.object({ content_type: z.string(), body: z.string() }) }),
    watch: stream({
      input: z.object({
        interval_secs: z.number().min(0.1).max(3600).default(5),
        /** Beginning of the names that are wanted. */
        prefix: z.string().max(64).default("sv2_"),
      }),
      output: z.object({
        /** Unix milliseconds. */
        at: z.int(),
        /** Values by name and labels, as Prometheus writes them. */
        samples: z.record(z.string(), z.number()),
      }),
    }),
  },
});

/** What stops or changes a role. */
export const controlService = service({
  name: "control",
  methods: {
    /** The role stops as on SIGTERM. The answer comes at once. */
    drain: call({ input: z.object({}), output: z.object({ draining: z.literal(true) }) }),
    /** Reads the config file anew and applies what can change live, as SIGHUP does. */
    reload: call({
      input: z.object({}),
      output: z.object({
        result: z.enum(["unchanged", "applied", "partly", "refused"]),
        /** Keys that are in force from now on. */
        applied: z.array(z.string()),
        needs_restart: z.array(z.string()),
        /** What is wrong with the file, one line each. */
        problems: z.array(z.string()),
      }),
    }),
    log_level: call({
      input: z.object({ level: z.enum(logLevels) }),
      output: z.object({ level: z.string(), before: z.string() }),
    }),
    /** Breaks the connection with this id in the status document off. */
    disconnect: call({ input: z.object({ id: z.int() }), output: z.object({ peer: z.string() }) }),
  },
});

/** All of them; a config names which are served. */
export const rpcServices: Readonly<Record<RpcServiceName, Service>> = {
  health: healthService,
  status: statusService,
  metrics: metricsService,
  control: controlService,
};
