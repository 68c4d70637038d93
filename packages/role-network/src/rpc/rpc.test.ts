import { randomBytes } from "node:crypto";
import { mkdtemp, readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { endpointIdOf, IrohNodeManager, parseTicket, rotateKey } from "@adit/network-helpers/iroh";
import { type Caller, clientOf, httpCaller, RpcConnection } from "@adit/network-helpers/rpc";
import {
  type HttpMethods,
  irohSettings,
  type LogLevel,
  type Monitoring,
  metricsRegister,
  noReload,
  type Operations,
  openLog,
  type RoleContext,
  type RpcSettings,
  rpcSettings,
  serveMonitoring,
} from "@adit/role-kit";
import { describe, expect, test, vi } from "vitest";
import { z } from "zod";
import type { IrohRoleSettings } from "../iroh-identity.ts";
import { type Network, openNetwork } from "../network.ts";
import { listenLimits } from "../settings.ts";
import { samplesOf, shortened } from "./handlers.ts";
import { controlService, healthService, metricsService, RPC_ALPN, statusService } from "./services.ts";

const never = new AbortController().signal;
const now = { signal: never };
const bind = ["127.0.0.1:0", "[::1]:0"];

async function clientNode(secretKey: Uint8Array): Promise<IrohNodeManager> {
  return await IrohNodeManager.start({
    secretKey,
    relay: "disabled",
    bind,
    allowedPeers: [],
    maxConnectionsPerPeer: 1,
    signal: never,
  });
}

/** A role's network with its RPC, as a process of its own would have it. */
class Scene implements AsyncDisposable {
  readonly drained: string[] = [];
  level: LogLevel = "debug";
  readonly operatorKey: Uint8Array = new Uint8Array(randomBytes(32));
  operations!: Operations;
  context!: RoleContext<IrohRoleSettings>;
  network!: Network;
  monitoring!: Monitoring;
  keyPath = "";
  refresh: () => Promise<boolean> = async () => false;
  #logFile = "";
  #methods: HttpMethods | undefined;
  readonly #live = new Map<string, (config: IrohRoleSettings) => void>();

  static async open(settings: Partial<RpcSettings> = {}, iroh: z.input<typeof irohSettings> = {}): Promise<Scene> {
    const scene = new Scene();
    const folder = await mkdtemp(join(tmpdir(), "adit-rpc-"));
    scene.#logFile = join(folder, "log");
    scene.operations = {
      role: "test",
      version: "1.2.3",
      uptimeSecs: () => 7,
      notReadyReason: () => "no work yet",
      status: () => ({ many: [1, 2, 3, 4], big: 2n ** 64n, few: ["a"], ...scene.network.status() }),
      drain: (reason) => void scene.drained.push(reason),
      setLogLevel: (level) => {
        const before = scene.level;
        scene.level = level;
        return before;
      },
      serveHttp: (methods) => {
        scene.#methods = methods;
      },
    };
    scene.context = {
      signal: never,
      log: openLog({ role: "test", level: "debug", file: scene.#logFile }),
      metrics: metricsRegister(),
      now: () => 1_700_000_000_000,
      ready: () => undefined,
      notReady: () => undefined,
      setStatus: () => undefined,
      ...noReload,
      onFileReload: (_key, refresh) => {
        scene.refresh = refresh;
      },
      onReload: (keys, apply) => scene.#live.set(keys.join(), apply),
      operations: scene.operations,
    };
    const rpc = rpcSettings.parse({ allowedPeers: [endpointIdOf(scene.operatorKey)], ...settings });
    scene.keyPath = join(folder, "iroh.key");
    const node = irohSettings.parse({ secretKeyPath: scene.keyPath, bind, ...iroh });
    scene.network = await openNetwork({ iroh: node, needsIroh: "no", rpc }, scene.context);
    scene.monitoring = await serveMonitoring("127.0.0.1:0", {
      role: "test",
      version: "1.2.3",
      metrics: scene.context.metrics,
      notReadyReason: () => null,
      status: () => ({}),
      methods: () => scene.#methods,
    });
    return scene;
  }

  /** What a reload with another list does. */
  setAllowedPeers(allowedPeers: string[]): void {
    this.#live.get("rpc.allowed_peers")?.({ rpc: rpcSettings.parse({ allowedPeers }) } as unknown as IrohRoleSettings);
  }

  async log(): Promise<string> {
    return await readFile(this.#logFile, "utf8");
  }

  async ticket(): Promise<string> {
    return /"ticket":"(\w+)"/.exec(await this.log())?.[1] ?? "";
  }

  /** A caller with the operator's key, or another. */
  async overIroh(key: Uint8Array = this.operatorKey, ticket?: string): Promise<Caller & AsyncDisposable> {
    const node = await clientNode(key);
    const dialling = node.transport(RPC_ALPN).dial(ticket ?? (await this.ticket()), { signal: never });
    const stream = await dialling.catch(async (error: unknown) => {
      await node[Symbol.asyncDispose]();
      throw error;
    });
    const connection = new RpcConnection(stream);
    return {
      call: (name, input, options) => connection.call(name, input, options),
      stream: (name, input, options) => connection.stream(name, input, options),
      [Symbol.asyncDispose]: async () => {
        await connection[Symbol.asyncDispose]();
        await node[Symbol.asyncDispose]();
      },
    };
  }

  get url(): URL {
    return new URL(`http://${this.monitoring.address}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.monitoring[Symbol.asyncDispose]();
    await this.network[Symbol.asyncDispose]();
  }
}

const overBoth = [
  ["Iroh", "iroh", (scene: Scene) => scene.overIroh()],
  [
    "HTTP",
    "http",
    async (scene: Scene) => ({ ...httpCaller(scene.url), [Symbol.asyncDispose]: async () => undefined }),
  ],
] as const;

describe.each(overBoth)("over %s an operator", (_name, transport, open) => {
  const everywhere: Partial<RpcSettings> = { http: ["health", "status", "metrics", "control"] };

  test("sees how the role is", async () => {
    await using scene = await Scene.open();
    await using caller = await open(scene);
    const readiness = { role: "test", version: "1.2.3", uptime_secs: 7, ready: false, reason: "no work yet" };
    expect(await clientOf(healthService, caller).check({}, now)).toEqual(readiness);
    const status = await clientOf(statusService, caller).get({ entries: 2 }, now);
    expect(status).toMatchObject({
      ...readiness,
      endpoint_id: scene.network.endpointId,
      ticket: await scene.ticket(),
      document: { many: [1, 2], big: "18446744073709551616", few: ["a"], connections: [] },
      cut: { many: 4 },
    });
    expect((await scene.context.metrics.expose()).body).toContain(
      `sv2_rpc_calls_total{service="status",method="get",transport="${transport}",result="ok"} 1`,
    );
  });

  test("reads the metrics, and watches them until it has had enough", async () => {
    await using scene = await Scene.open();
    await using caller = await open(scene);
    const metrics = clientOf(metricsService, caller);
    expect((await metrics.read({}, now)).body).toContain("# TYPE sv2_connections gauge");
    let seen = 0;
    for await (const { at, samples } of metrics.watch({ interval_secs: 0.1 }, now)) {
      expect(at).toBe(1_700_000_000_000);
      expect(Object.keys(samples).filter((name) => !name.startsWith("sv2_"))).toEqual([]);
      seen = samples[`sv2_rpc_calls_total{service="metrics",method="read",transport="${transport}",result="ok"}`] ?? 0;
      if (seen > 0) break;
    }
    expect(seen).toBe(1);
    await vi.waitFor(async () =>
      expect((await scene.context.metrics.expose()).body).toMatch(/method="watch",transport="\w+",result="\S+"} 1/),
    );
  });

  test("drains the role, sets its log level, and is told what the role cannot do", async () => {
    await using scene = await Scene.open(everywhere);
    await using caller = await open(scene);
    const control = clientOf(controlService, caller);
    expect(await control.log_level({ level: "warn" }, now)).toEqual({ level: "warn", before: "debug" });
    expect(scene.level).toBe("warn");
    scene.context.reload = async () => ({ result: "partly", applied: ["a"], needsRestart: ["b"], problems: ["c"] });
    const report = { result: "partly", applied: ["a"], needs_restart: ["b"], problems: ["c"] };
    expect(await control.reload({}, now)).toEqual(report);
    await expect(control.disconnect({ id: 1 }, now)).rejects.toMatchObject({ code: "not-found" });
    expect(await control.drain({}, now)).toEqual({ draining: true });
    expect(scene.drained).toEqual([expect.stringMatching(new RegExp(`^asked by \\S+ over ${transport}$`))]);
    expect(await scene.log()).toMatch(/"service":"control","method":"drain".*"msg":"rpc call"/);
  });

  test("gets nothing from a service that is not served there", async () => {
    await using scene = await Scene.open({ iroh: ["health"], http: ["health"] });
    await using caller = await open(scene);
    await expect(clientOf(statusService, caller).get({}, now)).rejects.toMatchObject({ code: "not-found" });
    await expect(clientOf(controlService, caller).drain({}, now)).rejects.toMatchObject({ code: "not-found" });
    expect(scene.drained).toEqual([]);
  });

  test("is told what is wrong with an input", async () => {
    await using scene = await Scene.open();
    await using caller = await open(scene);
    const call = caller.call({ service: "status", method: "get" }, { entries: "all" }, now);
    await expect(call).rejects.toMatchObject({
      code: "invalid-input",
      message: expect.stringContaining("entries") as string,
    });
  });
});

describe("over Iroh", () => {
  test("a key that is not in the config is turned away, also where the role takes everyone else", async () => {
    await using scene = await Scene.open();
    // Whether the stream is there before the refusal is a matter of time.
    const calling = async () => {
      await using stranger = await scene.overIroh(new Uint8Array(randomBytes(32)));
      return await clientOf(healthService, stranger).check({}, now);
    };
    await expect(calling()).rejects.toThrow(/not-allowed/);
  });

  test("a key in the config may call, also where it may not mine", async () => {
    await using scene = await Scene.open({}, { allowedPeers: [endpointIdOf(randomBytes(32))] });
    await using caller = await scene.overIroh();
    expect(await clientOf(healthService, caller).check({}, now)).toMatchObject({ role: "test" });
  });

  test("a changed list is in force at once, also for who is connected", async () => {
    await using scene = await Scene.open();
    const other = new Uint8Array(randomBytes(32));
    await using caller = await scene.overIroh();
    const watching = clientOf(metricsService, caller).watch({ interval_secs: 60 }, now)[Symbol.asyncIterator]();
    await watching.next();
    scene.setAllowedPeers([endpointIdOf(other)]);
    await expect(watching.next()).rejects.toMatchObject({ code: "going-away" });
    await using successor = await scene.overIroh(other);
    expect(await clientOf(healthService, successor).check({}, now)).toMatchObject({ role: "test" });
  });

  test("both endpoint ids of a rotated key answer, and the status names the new one", async () => {
    await using scene = await Scene.open();
    const ticket = await scene.ticket();
    const { endpointId, former } = await rotateKey(scene.keyPath, { overlapMs: 60_000, now: scene.context.now() });
    expect(await scene.refresh()).toBe(true);
    expect(parseTicket(ticket).endpointId).toBe(former.endpointId);
    const status = await clientOf(statusService, httpCaller(scene.url)).get({}, now);
    expect(status.endpoint_id).toBe(endpointId);
    for (const each of [ticket, status.ticket ?? ""]) {
      await using caller = await scene.overIroh(scene.operatorKey, each);
      expect(await clientOf(healthService, caller).check({}, now)).toMatchObject({ role: "test" });
    }
  });

  test("an operator breaks off another, and himself", async () => {
    await using scene = await Scene.open();
    const otherKey = new Uint8Array(randomBytes(32));
    scene.setAllowedPeers([scene.operatorKey, otherKey].map(endpointIdOf));
    await using other = await scene.overIroh(otherKey);
    const watching = clientOf(metricsService, other).watch({ interval_secs: 60 }, now)[Symbol.asyncIterator]();
    await watching.next();
    const idOf = () => scene.network.status().rpc_connections.map(({ id }) => Number(id));
    const [first = 0] = idOf();
    await using caller = await scene.overIroh();
    const control = clientOf(controlService, caller);
    expect(await control.disconnect({ id: first }, now)).toEqual({ peer: endpointIdOf(otherKey) });
    await expect(watching.next()).rejects.toMatchObject({ code: "going-away" });
    await vi.waitFor(() => expect(idOf()).not.toContain(first));
    const [own = 0] = idOf();
    expect(await control.disconnect({ id: own }, now)).toEqual({ peer: endpointIdOf(scene.operatorKey) });
    await vi.waitFor(() => expect(idOf()).toEqual([]));
  });

  test("nothing is served, and no node is started, while nobody may call", async () => {
    await using scene = await Scene.open({ allowedPeers: [] });
    expect(scene.network.endpointId).toBeNull();
    await using some = await Scene.open();
    expect(some.network.endpointId).toBe(parseTicket(await some.ticket()).endpointId);
  });

  test("calls go on while the role drains, and end with a goodbye when it has", async () => {
    const scene = await Scene.open();
    await using caller = await scene.overIroh();
    const watching = clientOf(metricsService, caller).watch({ interval_secs: 60 }, now)[Symbol.asyncIterator]();
    await watching.next();
    await scene[Symbol.asyncDispose]();
    await expect(watching.next()).rejects.toMatchObject({ code: "going-away" });
    expect(await scene.log()).toMatch(/"msg":"rpc peer gone"/);
  });

  test("no more connections are held than the config says", async () => {
    await using scene = await Scene.open({ maxConnections: 1 });
    await using first = await scene.overIroh();
    expect(await clientOf(healthService, first).check({}, now)).toMatchObject({ role: "test" });
    expect((await scene.context.metrics.expose()).body).toContain("sv2_rpc_connections 1");
  });
});

describe("over HTTP", () => {
  test("a role is seen also when the Iroh node that its operator wants does not start", async () => {
    await using scene = await Scene.open({}, { bind: ["192.0.2.1:5"] });
    const status = await clientOf(statusService, httpCaller(scene.url)).get({}, now);
    expect(status).toMatchObject({ role: "test", endpoint_id: null, ticket: null });
    expect(await scene.log()).toMatch(/"level":50.*"msg":"iroh node not started"[^]*"msg":"rpc not served over iroh"/);
  });

  test("control is off unless the config says otherwise", async () => {
    await using scene = await Scene.open();
    const drain = clientOf(controlService, httpCaller(scene.url)).drain({}, now);
    await expect(drain).rejects.toMatchObject({ code: "not-found" });
    expect(scene.drained).toEqual([]);
  });

  test("a call of any program is answered like one of ours", async () => {
    await using scene = await Scene.open();
    const headers = { "content-type": "application/json" };
    const answer = await fetch(new URL("/rpc/v1/health/check", scene.url), { method: "POST", headers, body: "{}" });
    expect([answer.status, await answer.json()]).toMatchObject([200, { role: "test" }]);
  });
});

test("an operator breaks one connection off by its id, and no other", async () => {
  await using scene = await Scene.open({ http: ["status", "control"] });
  await using served = await scene.network.serve({
    settings: {
      transport: "tcp",
      listenAddress: "127.0.0.1:0",
      encryption: "plain",
      certValiditySec: 3600,
      iroh: irohSettings.parse({}),
    },
    limits: z.strictObject(listenLimits).parse({}),
    server: {
      protocol: "mining",
      supportedFlags: 0,
      successFlags: () => 0,
      supportedExtensions: [],
      requiredExtensions: [],
      maxPayload: () => 1024,
    },
    signal: never,
    handler: async (connection) => {
      for await (const _ of connection.messages);
    },
  });
  const port = Number(served.listeners()[0]?.address?.split(":").at(-1));
  const upstream = { transport: "tcp", prefer: "tcp", address: "127.0.0.1", port, encryption: "plain" } as const;
  const hello = { protocol: "mining", flags: 0, requestExtensions: [], requiredExtensions: [] } as const;
  const dial = () => scene.network.dial({ ...upstream, directAddresses: [] }, hello, now);
  await using first = await dial();
  await using second = await dial();
  const ended = (async () => {
    for await (const _ of first.messages);
  })().catch(() => undefined);
  const caller = httpCaller(scene.url);
  const connections = async () => {
    const { document } = await clientOf(statusService, caller).get({}, now);
    return document["connections"] as { readonly id: number; readonly direction: string }[];
  };
  await vi.waitFor(async () => expect(await connections()).toHaveLength(4));
  const before = await connections();
  const accepted = before.filter(({ direction }) => direction === "downstream").map(({ id }) => id);
  const { peer } = await clientOf(controlService, caller).disconnect({ id: Math.min(...accepted) }, now);
  expect(peer).toMatch(/^127\.0\.0\.1:\d+$/);
  await ended;
  await vi.waitFor(async () => {
    const left = (await connections()).filter(({ direction }) => direction === "downstream");
    expect(left.map(({ id }) => id)).toEqual([Math.max(...accepted)]);
  });
  expect(second.info().bytesIn).toBeGreaterThan(0);
  await clientOf(controlService, caller).disconnect({ id: second.id }, now);
  expect((await connections()).map(({ id }) => id)).not.toContain(second.id);
});

describe("what the handlers make", () => {
  test("lists are cut, and said to be", () => {
    expect(shortened({ a: [1, 2, 3], b: [1], c: 5 }, 1)).toEqual({ document: { a: [1], b: [1], c: 5 }, cut: { a: 3 } });
    expect(shortened({ a: [1] }, 0)).toEqual({ document: { a: [] }, cut: { a: 1 } });
  });

  test("samples are read from a page with their labels", () => {
    const page = '# HELP sv2_a x\nsv2_a{x="1 2",y="}"} 5\nsv2_b 1.5e3\nsv2_c NaN\nsv2_d +Inf\nnode_e 1\n\n';
    expect(samplesOf(page, "sv2_")).toEqual({ 'sv2_a{x="1 2",y="}"}': 5, sv2_b: 1500 });
    expect(samplesOf(page, "")).toMatchObject({ node_e: 1 });
  });
});
