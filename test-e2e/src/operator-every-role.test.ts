import { roles } from "@adit/adit";
import { IrohNodeManager } from "@adit/network-helpers/iroh";
import { clientOf, RpcConnection } from "@adit/network-helpers/rpc";
import { controlService, healthService, metricsService, RPC_ALPN, statusService } from "@adit/role-network";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  jdClientToml,
  jdServerToml,
  poolToml,
  sv2MinerToml,
  templateProviderToml,
  translatorToml,
  upstream,
} from "./harness/configs.ts";
import { Stage } from "./harness/stage.ts";
import type { TestRole } from "./harness/test-role.ts";

let stage: Stage;
let operator: IrohNodeManager;
const running = new Map<string, TestRole>();

beforeAll(async () => {
  stage = await Stage.open();
  operator = await IrohNodeManager.start({
    relay: "disabled",
    bind: ["127.0.0.1:0"],
    allowedPeers: [],
    maxConnectionsPerPeer: 1,
    signal: new AbortController().signal,
  });
  const start = async (name: string, toml: (folder: string) => string): Promise<TestRole> => {
    const role = await stage.start(
      name,
      (folder) => `${toml(folder)}\n[rpc]\nallowed_peers = ["${operator.endpointId}"]\n`,
    );
    running.set(name, role);
    return role;
  };
  const templates = await start("template-provider", (folder) => templateProviderToml(folder, { rpc: true }));
  const [pool] = await Promise.all([
    start("pool", (folder) => poolToml(folder, templates)),
    start("jd-server", (folder) => jdServerToml(folder, templates)),
    start("jd-client", (folder) => jdClientToml(folder, templates, { mode: "SOLOMINING", upstreams: [] })),
  ]);
  await Promise.all([
    start("translator", (folder) => translatorToml(folder, [upstream(pool, "tcp")])),
    start("mining-device", (folder) => sv2MinerToml(folder, upstream(pool, "tcp"), "e2e.device")),
    start("watch", (folder) => watchToml(folder, `http://${templates.monitoringAddress}`)),
  ]);
});

const watchToml = (folder: string, target: string): string => `
monitoring_address = "127.0.0.1:0"
[[targets]]
name = "templates"
target = "${target}"
[iroh]
secret_key_path = "${folder}/watch.key"
relay = "disabled"
bind = ["127.0.0.1:0"]
`;

afterAll(async () => {
  await operator[Symbol.asyncDispose]();
  await stage[Symbol.asyncDispose]();
});

/** A connection to the operator's services of a role. */
async function call(role: TestRole): Promise<RpcConnection> {
  const { ticket } = JSON.parse(await role.logged(/rpc served over iroh/)) as { readonly ticket: string };
  return new RpcConnection(await operator.transport(RPC_ALPN).dial(ticket, { signal: AbortSignal.timeout(10_000) }));
}

// Those that others need come last.
const order = ["watch", "mining-device", "translator", "jd-client", "jd-server", "pool", "template-provider"];

describe("over Iroh an operator", () => {
  test("is served by every role there is", () => {
    expect(order.toSorted()).toEqual(roles.map(({ name }) => name).toSorted());
  });

  test.each(order)("sees a %s, changes what it logs, and stops it with exit code 0", async (name) => {
    const role = running.get(name);
    if (role === undefined) throw new Error(`${name} does not run`);
    await using connection = await call(role);
    const options = { signal: AbortSignal.timeout(30_000) };
    const control = clientOf(controlService, connection);
    const health = await clientOf(healthService, connection).check({}, options);
    expect(health).toMatchObject({ role: name, ready: true });
    const status = await clientOf(statusService, connection).get({ entries: 10 }, options);
    expect(status.document).toMatchObject({ connections: expect.any(Array) as unknown });
    const { body } = await clientOf(metricsService, connection).read({}, options);
    expect(body).toContain('sv2_rpc_calls_total{service="status",method="get",transport="iroh",result="ok"} 1');
    expect(await control.log_level({ level: "warn" }, options)).toMatchObject({ level: "warn" });
    expect(await control.reload({}, options)).toMatchObject({ result: "applied", applied: ["log_level"] });
    await expect(control.disconnect({ id: 1_000_000 }, options)).rejects.toMatchObject({ code: "not-found" });
    expect(await control.drain({}, options)).toEqual({ draining: true });
    expect(await role.exited()).toBe(0);
    expect(role.logLines().at(-1)?.msg).toBe("stopped");
  });
});
