import { NetworkError } from "@adit/network-helpers";
import { defaultPeerOptions, type PeerEvent, type PeerOptions } from "@adit/network-helpers/peers";
import { type Caller, RpcError } from "@adit/network-helpers/rpc";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { Fleet, type Order } from "./fleet.ts";
import type { RoleLink } from "./role-link.ts";
import { type NamedTarget, parseTarget, type Target } from "./target.ts";

const never = { signal: new AbortController().signal };

/** Roles by their addresses, each up or not, and a fleet of them on a fake clock. */
class World {
  readonly up = new Set<string>();
  readonly dials: string[] = [];
  readonly events: PeerEvent[] = [];
  readonly fleet: Fleet;
  calls = 0;

  constructor(names: readonly string[], peers: Partial<PeerOptions> = {}) {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
    onTestFinished(() => void vi.useRealTimers());
    for (const name of names) this.up.add(name);
    this.fleet = new Fleet({
      targets: names.map((name) => at(name)),
      open: async (target) => this.#open(target),
      peers,
      deadlineMs: 1000,
      onEvent: (event) => void this.events.push(event),
      random: () => 0,
    });
    onTestFinished(() => this.fleet[Symbol.asyncDispose]());
  }

  breaker(name: string): string | undefined {
    return this.fleet.breakers().get(name);
  }

  /** What a call to a target comes to: what it answers, or the code of its error. */
  async ask(name: string): Promise<unknown> {
    const asking = this.fleet.call(name, (caller, options) => caller.call(method, {}, options), never);
    return await asking.catch((error: { readonly code: string }) => error.code);
  }

  #open({ name }: Target): RoleLink {
    this.dials.push(name);
    if (!this.up.has(name)) throw new NetworkError("connection-failed", { peer: name, message: `${name}: down` });
    const call = async (): Promise<unknown> => {
      this.calls++;
      if (!this.up.has(name)) throw new RpcError("connection-lost", `${name}: down`);
      return name;
    };
    const caller = { call } as unknown as Caller;
    return { caller, ended: new Promise(() => undefined), [Symbol.asyncDispose]: async () => undefined };
  }
}

const method = { service: "s", method: "m" };

function at(name: string, host = name): NamedTarget {
  const text = `http://${host}/`;
  return { name, text, target: parseTarget(text) };
}

describe("a fleet", () => {
  test("leaves a role alone that failed too often, tries it after a while, and has it back; others notice nothing", async () => {
    const world = new World(["a", "b"]);
    expect([await world.ask("a"), await world.ask("b")]).toEqual(["a", "b"]);
    world.up.delete("a");
    const { breakerFailures, breakerOpenMs } = defaultPeerOptions;
    expect(await world.ask("a")).toBe("connection-lost");
    for (let failures = 1; failures < breakerFailures; failures++) {
      expect(world.breaker("a")).toBe("closed");
      expect(await world.ask("a")).toBe("connection-failed");
    }
    expect(world.breaker("a")).toBe("open");
    const dials = world.dials.length;
    expect(await world.ask("a")).toBe("breaker-open");
    expect(world.dials).toHaveLength(dials);
    await vi.advanceTimersByTimeAsync(breakerOpenMs);
    expect(world.breaker("a")).toBe("half-open");
    expect(await world.ask("a")).toBe("connection-failed");
    expect(world.breaker("a")).toBe("open");
    world.up.add("a");
    await vi.advanceTimersByTimeAsync(breakerOpenMs);
    expect(await world.ask("a")).toBe("a");
    expect([world.breaker("a"), world.breaker("b")]).toEqual(["closed", "closed"]);
    const changes = world.events.filter(({ type }) => type.startsWith("breaker"));
    expect(changes.map(({ type, peer }) => [type, peer])).toEqual([
      ["breaker-opened", "a"],
      ["breaker-half-opened", "a"],
      ["breaker-opened", "a"],
      ["breaker-half-opened", "a"],
      ["breaker-closed", "a"],
    ]);
    expect(world.dials.filter((name) => name === "b")).toHaveLength(1);
  });

  test("does not take an error of the call for one of the role", async () => {
    const world = new World(["a"], { breakerFailures: 1 });
    const failing = world.fleet.call("a", () => Promise.reject(new RpcError("not-allowed", "no")), never);
    await expect(failing).rejects.toMatchObject({ code: "not-allowed" });
    expect(await world.ask("a")).toBe("a");
    expect(world.dials).toEqual(["a"]);
  });

  test("checks a connection that is kept, and closes one that nobody uses", async () => {
    const world = new World(["a"]);
    await world.ask("a");
    await vi.advanceTimersByTimeAsync(defaultPeerOptions.healthCheckMs);
    expect(world.calls).toBe(2);
    await vi.advanceTimersByTimeAsync(defaultPeerOptions.idleMs);
    expect(world.fleet.stats().counts.closed.idle).toBe(1);
    await world.ask("a");
    world.up.delete("a");
    await vi.advanceTimersByTimeAsync(defaultPeerOptions.healthCheckMs);
    expect(world.fleet.stats().counts.closed.unhealthy).toBe(1);
  });

  test("reaches more roles than it may have connections, in turn", async () => {
    const names = ["a", "b", "c", "d", "e"];
    const world = new World(names, { maxConnections: 2 });
    const most = { open: 0 };
    const asking = names.map((name) =>
      world.fleet.call(
        name,
        async (caller, options) => {
          const { dialling, open, closing } = world.fleet.stats().connections;
          most.open = Math.max(most.open, dialling + open + closing);
          return await caller.call(method, {}, options);
        },
        never,
      ),
    );
    expect(await Promise.all(asking)).toEqual(names);
    expect(most.open).toBe(2);
    expect(world.fleet.stats().counts.leasesRefused).toBe(0);
  });

  test("keeps orders for a role that is away, in their order, until it is back or they are too old", async () => {
    const world = new World(["a"], { breakerFailures: 2 });
    const heard: number[] = [];
    const order = (number: number): Order => ({
      deliver: async (caller, options) => {
        await caller.call(method, {}, options);
        heard.push(number);
      },
    });
    world.up.delete("a");
    const first = world.fleet.send("a", order(1));
    await vi.advanceTimersByTimeAsync(defaultPeerOptions.messageTtlMs - 1);
    const others = [2, 3].map((number) => world.fleet.send("a", order(number)));
    await vi.advanceTimersByTimeAsync(1);
    expect(await first).toEqual({ kind: "expired" });
    world.up.add("a");
    await vi.advanceTimersByTimeAsync(defaultPeerOptions.breakerOpenMs);
    expect(await Promise.all(others)).toEqual([{ kind: "delivered" }, { kind: "delivered" }]);
    expect(heard).toEqual([2, 3]);
  });

  test("refuses an order that the buffer has no room for", async () => {
    const world = new World(["a"], { maxBufferedBytes: 1024 });
    world.up.delete("a");
    const sent = Array.from({ length: 17 }, () => world.fleet.send("a", { deliver: async () => undefined }));
    expect(await sent[16]).toEqual({ kind: "refused", reason: "buffer-full" });
  });

  test("calls another role under a name that has come to stand for it, and the first again when it is back", async () => {
    const world = new World(["a", "b"]);
    await world.ask("a");
    world.up.add("elsewhere");
    world.fleet.setTargets([at("a", "elsewhere")]);
    expect(await world.ask("a")).toBe("elsewhere");
    expect(await world.ask("b")).toBe("invalid-config");
    world.fleet.setTargets([at("a")]);
    expect(await world.ask("a")).toBe("a");
    expect(world.dials).toEqual(["a", "elsewhere"]);
  });
});
