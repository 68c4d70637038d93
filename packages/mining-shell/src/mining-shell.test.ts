import { pureHashing } from "@adit/bitcoin";
import { type AcceptedShare, MiningServer, type ServerEffect, type ServerInput } from "@adit/channels";
import { openLog } from "@adit/role-kit";
import { describe, expect, test, vi } from "vitest";
import { z } from "zod";
import type { MinerEffect, MiningCore } from "./core.ts";
import { miningLimits } from "./mining-limits.ts";
import { channelSettings, extensionSettings, toServerOptions } from "./mining-settings.ts";
import { type CloseCause, MiningShell, type MiningShellOptions } from "./mining-shell.ts";
import { plainPair } from "./testing/plain-pair.ts";
import { TestMiner } from "./testing/test-miner.ts";
import { firstWork } from "./testing/work.ts";

type RolesEffect = Exclude<ServerEffect, MinerEffect>;
type Options = MiningShellOptions<ServerInput, RolesEffect>;

const settings = z
  .strictObject({
    ...channelSettings,
    ...extensionSettings("test"),
    limits: z.strictObject(miningLimits).prefault({ shareBurst: 5000 }),
  })
  // 64 hashes go into a share of the lowest difficulty.
  .parse({ sharesPerMinute: 60, minHashrate: 64 });

/** What a shell needs whatever its core. */
const plain = {
  outbound: { maxMessages: 256, maxBytes: 1 << 20 },
  stalledWriteMs: 60_000,
  ackIntervalMs: settings.ackIntervalSecs * 1000,
  extensions: [],
  log: openLog({ role: "test", level: "error", file: undefined }),
};

function miningServer(): MiningServer {
  return new MiningServer({
    ...toServerOptions(settings),
    hashing: pureHashing,
    extranonce: { totalSize: 20, prefix: Uint8Array.of(1), indexSize: 3, start: 0 },
    rewardOutputs: ({ coinbaseTxValueRemaining: value }) => [{ value, script: Uint8Array.of(0x51) }],
    coinbaseTag: "test",
    customJobs: null,
  });
}

/** A shell around the real core with work to give, and what became of it. */
class Served {
  readonly performed: RolesEffect[] = [];
  readonly closed: CloseCause[] = [];
  readonly shell: MiningShell<ServerInput, RolesEffect>;
  /** Ends with the newest miner's connection; rejects when that broke. */
  serving: Promise<void> = Promise.resolve();
  #waiting: { readonly met: () => boolean; readonly resolve: () => void }[] = [];

  constructor(options: Partial<Options> = {}) {
    this.shell = new MiningShell({
      ...plain,
      core: miningServer(),
      perform: (effect) => this.#perform(effect),
      onClose: (cause) => this.closed.push(cause),
      ...options,
    });
    for (const input of firstWork()) this.shell.handle(input);
  }

  async miner(): Promise<TestMiner> {
    const { server, client } = await plainPair();
    this.serving = this.shell.serve(server);
    return new TestMiner(client);
  }

  /** Resolves as soon as an effect of the role's has made the condition true. */
  async until(met: () => boolean): Promise<void> {
    if (!met()) await new Promise<void>((resolve) => this.#waiting.push({ met, resolve }));
  }

  get shares(): readonly AcceptedShare[] {
    return this.performed.flatMap((effect) => (effect.type === "record-share" ? [effect.share] : []));
  }

  answerAll(): void {
    for (const share of this.shares) this.shell.handle({ type: "share-recorded", share, result: "recorded" });
  }

  #perform(effect: RolesEffect): void {
    this.performed.push(effect);
    const due = this.#waiting.filter(({ met }) => met());
    this.#waiting = this.#waiting.filter((waiting) => !due.includes(waiting));
    for (const { resolve } of due) resolve();
  }
}

/** A shell whose core knows nothing but to send every miner a hundred messages when told to. */
function flooding(options: Partial<typeof plain>): {
  readonly shell: MiningShell<{ readonly type: "flood" }, never>;
  readonly closed: readonly CloseCause[];
} {
  const to: number[] = [];
  const closed: CloseCause[] = [];
  const core: MiningCore<{ readonly type: "flood" }, never> = {
    handle: (input) => {
      if (input.type === "connected") to.push(input.connection);
      if (input.type !== "flood") return [];
      return Array.from({ length: 100 }, (_, sequenceNumber) => {
        const refusal = { name: "SubmitSharesError", channelId: 2, sequenceNumber, errorCode: "stale-share" } as const;
        return { type: "send", to, message: refusal } as const;
      });
    },
  };
  const onClose = (cause: CloseCause): unknown => closed.push(cause);
  return { shell: new MiningShell({ ...plain, core, perform: () => {}, onClose, ...options }), closed };
}

/** Room that is not there until it is opened. */
function gate(): { readonly room: () => Promise<void>; readonly asked: Promise<void>; readonly open: () => void } {
  let ask = (): void => {};
  let open = (): void => {};
  const asked = new Promise<void>((resolve) => {
    ask = resolve;
  });
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return {
    asked,
    open: () => open(),
    room: async () => {
      ask();
      await opened;
    },
  };
}

describe("the mining shell", () => {
  test("serves a miner from the core, and has the role perform what is the role's, in order", async () => {
    const served = new Served();
    await using miner = await served.miner();
    const channel = await miner.open("extended", "a");
    await miner.submit(miner.find(channel, { block: true }));
    const found = miner.find(channel);
    await miner.submit({ ...found, message: { ...found.message, jobId: 99 } });
    await miner.until(() => miner.rejected.length === 1);
    expect(served.performed.map(({ type }) => type)).toEqual([
      "job-activated",
      "submit-solution",
      "record-share",
      "reject-share",
    ]);
    expect(served.closed).toEqual([]);
  });

  test("does not look at a miner's message before the role has room for it", async () => {
    const { room, asked, open } = gate();
    const core = miningServer();
    const inputs: string[] = [];
    const noting: MiningCore<ServerInput, RolesEffect> = {
      handle: (input, now) => {
        inputs.push(input.type);
        return core.handle(input, now);
      },
    };
    const served = new Served({ core: noting, room });
    await using miner = await served.miner();
    const opening = miner.open("standard", "a");
    await asked;
    expect(inputs).not.toContain("message");
    open();
    await opening;
    expect(inputs).toContain("message");
  });

  test("runs a larger core that has a server in it, with inputs and effects of its own", async () => {
    type Rotated = { readonly type: "rotated"; readonly channels: number };
    const server = miningServer();
    const connections: number[] = [];
    const core: MiningCore<ServerInput | { readonly type: "rotate" }, RolesEffect | Rotated> = {
      handle: (input, now) => {
        if (input.type === "connected") connections.push(input.connection);
        if (input.type !== "rotate") return server.handle(input, now);
        const effects = connections.flatMap((connection) =>
          server.handle({ type: "rotate-extranonce-prefix", connection, channelId: 2 }, now),
        );
        return [...effects, { type: "rotated", channels: connections.length }];
      },
    };
    const performed: (RolesEffect | Rotated)[] = [];
    const perform = (effect: RolesEffect | Rotated): unknown => performed.push(effect);
    const shell = new MiningShell({ ...plain, core, perform, onClose: () => {} });
    for (const input of firstWork()) shell.handle(input);
    const { server: connection, client } = await plainPair();
    const serving = shell.serve(connection);
    const miner = new TestMiner(client);
    const channel = await miner.open("extended", "a");
    const before = channel.extranoncePrefix;
    shell.handle({ type: "rotate" });
    await miner.until(() => miner.messages.includes("SetExtranoncePrefix"));
    expect(channel.extranoncePrefix).not.toEqual(before);
    expect(performed.map(({ type }) => type)).toEqual(["job-activated", "rotated"]);
    await miner[Symbol.asyncDispose]();
    await serving;
  });

  test("drops a miner that does not keep up with its messages", async () => {
    const { shell, closed } = flooding({ outbound: { maxMessages: 10, maxBytes: 1 << 20 } });
    const { server, client } = await plainPair(1024);
    const serving = shell.serve(server).catch(() => {});
    shell.handle({ type: "flood" });
    await expect(client.messages[Symbol.asyncIterator]().next()).rejects.toMatchObject({ name: "NetworkError" });
    await serving;
    expect(closed).toEqual(["slow-consumer"]);
  });

  test("drops a miner that takes nothing from its socket for too long", async () => {
    const { shell, closed } = flooding({ stalledWriteMs: 0 });
    const { server } = await plainPair(1024);
    const serving = shell.serve(server);
    shell.tick();
    expect(closed).toEqual([]);
    shell.handle({ type: "flood" });
    // The writer hands over what the transport takes, and waits.
    await new Promise((resolve) => setImmediate(resolve));
    shell.tick();
    await expect(serving).rejects.toMatchObject({ code: "slow-consumer" });
    expect(closed).toEqual(["slow-consumer"]);
  });

  test("drains: waits for the role, acknowledges every share, says farewell and takes no more miners", async () => {
    const served = new Served();
    await using miner = await served.miner();
    const channel = await miner.open("extended", "a");
    await miner.submit(miner.find(channel));
    await miner.submit(miner.find(channel, { seed: 1 }));
    await served.until(() => served.shares.length === 2);
    const order: string[] = [];
    await served.shell.drain(async () => {
      order.push(`settling with ${miner.accepted} acknowledged`);
      served.answerAll();
    });
    await miner.ended;
    expect(order).toEqual(["settling with 0 acknowledged"]);
    expect(miner.accepted).toBe(2);
    expect(miner.messages.at(-1)).toBe("Reconnect");
    await using late = await served.miner();
    await served.serving;
    expect(late.messages).toEqual([]);
  });

  test("drains to elsewhere: serves on until its miners have left, and tells those that stay once more", async () => {
    const served = new Served();
    await using miner = await served.miner();
    const channel = await miner.open("extended", "a");
    let settled = 0;
    const draining = served.shell.drain(
      async () => {
        settled = served.shares.length;
      },
      { newHost: "other.example", newPort: 3333 },
    );
    await vi.waitFor(() => expect(miner.messages).toContain("Reconnect"));
    await miner.submit(miner.find(channel));
    await served.until(() => served.shares.length === 1);
    await miner[Symbol.asyncDispose]();
    await draining;
    expect(settled).toBe(1);
  });
});
