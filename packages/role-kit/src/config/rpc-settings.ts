import { z } from "zod";
import { isLoopback, splitAddress } from "../monitoring.ts";

/** The services that every role has for whoever operates it. */
const rpcServiceNames = ["health", "status", "metrics", "control"] as const;
/** One of {@link rpcServiceNames}. */
export type RpcServiceName = (typeof rpcServiceNames)[number];

const serviceNames = z.array(z.enum(rpcServiceNames)).max(rpcServiceNames.length);

/** An Iroh endpoint id as configs spell it. */
export const endpointId: z.ZodString = z
  .string()
  .regex(/^[0-9a-f]{64}$/, "expected an endpoint id: 64 lower-case hex digits, as the peer prints it at start");

/** The `[rpc]` table of every role: who may look at it and stop it, and how. */
export const rpcSettings = z
  .strictObject({
    allowedPeers: z
      .array(endpointId)
      .max(1000)
      .default([])
      .describe("endpoint ids that may call over Iroh, each as `adit keys rpc` prints it; empty: nobody may"),
    iroh: serviceNames.default([...rpcServiceNames]).describe("services that they may call"),
    http: serviceNames
      .default(["health", "status", "metrics"])
      .describe(
        "services on the monitoring server, at POST /rpc/v1/SERVICE/METHOD; `control` only while monitoring_address is on loopback",
      ),
    maxConnections: z.int().min(1).max(1000).default(16).describe("RPC connections over Iroh at once"),
  })
  .describe("calls that tell how the role is, and that stop it");

/** What {@link rpcSettings} parses to. */
export type RpcSettings = z.output<typeof rpcSettings>;

/** Adds a problem when `control`, which has no authentication over HTTP, would be reachable from other machines. */
export function checkRpc(
  { monitoringAddress, rpc }: { readonly monitoringAddress?: string; readonly rpc: RpcSettings },
  context: z.core.$RefinementCtx,
): void {
  if (!rpc.http.includes("control") || monitoringAddress === undefined) return;
  if (isLoopback(splitAddress(monitoringAddress).host)) return;
  const message = `expected no control: monitoring_address = "${monitoringAddress}" is reachable from other machines, and HTTP asks nobody who they are; call it over Iroh`;
  context.addIssue({ code: "custom", path: ["rpc", "http"], message, input: rpc.http });
}
