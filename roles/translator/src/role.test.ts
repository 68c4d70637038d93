import { createSocket } from "node:dgram";
import { mkdtemp, readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadCrypto } from "@adit/fast-crypto";
import { parseHostPort } from "@adit/network-helpers";
import { tcp } from "@adit/network-helpers/tcp";
import { parseConfig } from "@adit/role-kit";
import { describe, expect, test, vi } from "vitest";
import { translatorRole } from "./role.ts";
import { TestPool, type TestPoolOptions } from "./testing/pool.ts";
import { testContext } from "./testing/role-context.ts";
import { Sv1Miner } from "./testing/sv1-miner.ts";

const { hashing } = await loadCrypto();

function eventually(check: () => void | Promise<void>): Promise<void> {
  return vi.waitFor(check, { timeout: 25_000, interval: 20 });
}

/** A translator on a free port, with the upstreams that the TOML names. */
async function startTranslator(
  folder: string,
  upstreams: string,
  { aggregate = true, address = "127.0.0.1" }: { readonly aggregate?: boolean; readonly address?: string } = {},
) {
  const text = `
downstream_address = "${address}"
downstream_port = 0
aggregate_channels = ${aggregate}
[downstream_difficulty_config]
min_individual_miner_hashrate = 20000.0
shares_per_minute = 600.0
[iroh]
secret_key_path = ${JSON.stringify(join(folder, "translator-iroh.key"))}
bind = ["127.0.0.1:0"]
[limits]
handshake_timeout_secs = 2
${upstreams}`;
  const config = parseConfig(translatorRole, { text, file: "translator.toml", env: {} });
  const role = testContext("translator", join(folder, "translator.log"));
  const running = translatorRole.run(config, role.context);
  await Promise.race([running, eventually(() => expect(role.ready).not.toEqual([]))]);
  return {
    address: String(role.ready[0]?.["downstream_address"]),
    role,
    status: () => role.status() as Record<string, unknown> & { upstream: Record<string, unknown> },
    [Symbol.asyncDispose]: async () => {
      role.stop();
      await running;
    },
  };
}

function upstreamTable(pool: TestPool, transport: "tcp" | "iroh", moreAddresses: readonly string[] = []): string {
  const { host, port } = transport === "tcp" ? parseHostPort(pool.tcpAddress) : { host: "", port: 0 };
  const where =
    transport === "tcp"
      ? `address = "${host}"\nport = ${port}`
      : `endpoint_id = "${pool.endpointId}"\ndirect_addresses = ${JSON.stringify([...pool.directAddresses, ...moreAddresses])}`;
  return `[[upstreams]]
transport = "${transport}"
${where}
authority_pubkey = "${pool.authority}"
user_identity = "account"
`;
}

async function freshFolder(): Promise<string> {
  return await mkdtemp(join(tmpdir(), "adit-translator-"));
}

describe("a miner's shares reach the pool, named by worker,", () => {
  test.each([
    ["over Iroh, by endpoint id, on a shared channel", "iroh", true],
    ["over Iroh, on a channel of its own", "iroh", false],
    ["over TCP, on a shared channel", "tcp", true],
    ["over TCP, on a channel of its own", "tcp", false],
  ] as const)("%s", async (_how, transport, aggregate) => {
    const folder = await freshFolder();
    await using pool = await TestPool.start({ folder, transport, serverId: 1 });
    await using translator = await startTranslator(folder, upstreamTable(pool, transport), { aggregate });
    await using one = await Sv1Miner.connect(translator.address, "account.one", hashing);
    await using two = await Sv1Miner.connect(translator.address, "account.two", hashing);
    await eventually(() => {
      expect(pool.accepted.filter(({ worker }) => worker === "one").length).toBeGreaterThan(3);
      expect(pool.accepted.filter(({ worker }) => worker === "two").length).toBeGreaterThan(3);
    });
    expect(new Set(pool.accepted.map(({ channelId }) => channelId)).size).toBe(aggregate ? 1 : 2);
    expect(new Set(pool.accepted.map(({ userIdentity }) => userIdentity))).toEqual(new Set(["account"]));
    expect(pool.rejected).toEqual([]);
    expect(translator.status()).toMatchObject({
      upstream: { state: "connected", transport, path: transport === "iroh" ? "direct" : null },
      miners: [{ user_name: "account.one" }, { user_name: "account.two" }],
      shares_rejected: 0,
    });
    await eventually(() => expect(translator.status()["shares_acknowledged"]).toBeGreaterThan(0));
    expect([one.ended, two.ended]).toEqual([undefined, undefined]);
    const { body } = await translator.role.context.metrics.expose();
    expect(body).toMatch(/^sv2_translator_shares_acknowledged_total [1-9]/m);
    expect(body).toMatch(/^sv2_translator_miners 2$/m);
  });
});

test("a pool that closes a connection without miners is dialled again when the first one comes, not before", async () => {
  const folder = await freshFolder();
  await using pool = await TestPool.start({ folder, transport: "tcp", serverId: 1, firstChannelMs: 100 });
  await using translator = await startTranslator(folder, upstreamTable(pool, "tcp"));
  await eventually(() => expect(translator.status().upstream["transport"]).toBeNull());
  expect(translator.role.notReady).toEqual([]);
  await using _ = await Sv1Miner.connect(translator.address, "account.one", hashing);
  await eventually(() => expect(pool.accepted.length).toBeGreaterThan(0));
});

test("a listener that others than this machine can reach is warned of", async () => {
  const folder = await freshFolder();
  await using pool = await TestPool.start({ folder, transport: "tcp", serverId: 1 });
  await using _ = await startTranslator(folder, upstreamTable(pool, "tcp"), { address: "0.0.0.0" });
  const log = await readFile(join(folder, "translator.log"), "utf8");
  expect(log).toContain("neither encrypted nor authenticated");
});

describe("when the pool is killed and comes back with another prefix", () => {
  test.each([
    ["over Iroh, shared", "iroh", true],
    ["over TCP, each its own", "tcp", false],
  ] as const)(
    "the miner's socket stays open and its shares are accepted again: %s",
    async (_how, transport, aggregate) => {
      const folder = await freshFolder();
      const options: TestPoolOptions = { folder, transport, serverId: 1 };
      const first = await TestPool.start(options);
      // A closed Iroh node keeps its UDP port until it is garbage collected, so the second one has to take another.
      const udpPort = await freeUdpPort();
      const upstream = upstreamTable(first, transport, [`127.0.0.1:${udpPort}`]);
      await using translator = await startTranslator(folder, upstream, { aggregate });
      await using miner = await Sv1Miner.connect(translator.address, "account.one", hashing);
      await eventually(() => expect(first.accepted.length).toBeGreaterThan(2));
      const extranonce1 = miner.jobs.at(-1)?.extranonce1;
      const tcpPort = transport === "tcp" ? parseHostPort(first.tcpAddress).port : 0;
      await first[Symbol.asyncDispose]();
      await eventually(() => expect(translator.role.notReady).not.toEqual([]));
      await eventually(() => expect(miner.results.at(-1)).toBe("rejected 21 Stale job"));
      const again = transport === "tcp" ? { tcpPort } : { udpPort };
      await using second = await TestPool.start({ ...options, ...again, serverId: 9 });
      await eventually(() => expect(second.accepted.length).toBeGreaterThan(2));
      expect(miner.ended).toBeUndefined();
      expect(miner.jobs.at(-1)?.extranonce1).toEqual(extranonce1);
      expect(second.rejected).toEqual([]);
      expect(translator.role.ready.length).toBeGreaterThan(1);
    },
  );
});

test("a translator that stops waits for the answers to its shares, and closes its channel before its connection", async () => {
  const folder = await freshFolder();
  await using pool = await TestPool.start({ folder, transport: "tcp", serverId: 1 });
  const translator = await startTranslator(folder, upstreamTable(pool, "tcp"));
  await using _ = await Sv1Miner.connect(translator.address, "account.one", hashing);
  await eventually(() => expect(pool.accepted.length).toBeGreaterThan(2));
  await translator[Symbol.asyncDispose]();
  const { shares_submitted: submitted, shares_acknowledged: acknowledged } = translator.status();
  expect([acknowledged, translator.status()["shares_unanswered"]]).toEqual([submitted, 0]);
  expect(pool.heard.at(-1)).toBe("CloseChannel");
});

describe("a pool that asks to reconnect", () => {
  test("moves its miners to the pool it names, and every share is credited by one of both", async () => {
    const folder = await freshFolder();
    await using first = await TestPool.start({ folder, transport: "tcp", serverId: 1 });
    await using second = await TestPool.start({ folder, transport: "tcp", serverId: 2 });
    await using translator = await startTranslator(folder, upstreamTable(first, "tcp"));
    await using miner = await Sv1Miner.connect(translator.address, "account.one", hashing);
    await eventually(() => expect(first.accepted.length).toBeGreaterThan(2));
    const { host, port } = parseHostPort(second.tcpAddress);
    await first.sendElsewhere(host, port);
    await eventually(() => expect(second.accepted.length).toBeGreaterThan(2));
    await eventually(() => expect(translator.status()).toMatchObject({ connections: { length: 1 } }));
    expect([miner.ended, translator.role.notReady, first.rejected, second.rejected]).toEqual([undefined, [], [], []]);
    expect(new Set(miner.results)).toEqual(new Set(["accepted"]));
    expect(translator.status()["shares_unanswered"]).toBe(0);
  });

  test("to a pool under another key keeps its miners", async () => {
    const folder = await freshFolder();
    await using first = await TestPool.start({ folder, transport: "tcp", serverId: 1 });
    await using stranger = await TestPool.start({ folder: await freshFolder(), transport: "tcp", serverId: 2 });
    await using translator = await startTranslator(folder, upstreamTable(first, "tcp"));
    await using miner = await Sv1Miner.connect(translator.address, "account.one", hashing);
    await eventually(() => expect(first.accepted.length).toBeGreaterThan(0));
    const { host, port } = parseHostPort(stranger.tcpAddress);
    await first.sendElsewhere(host, port);
    await eventually(async () =>
      expect(await readFile(join(folder, "translator.log"), "utf8")).toContain(
        "not signed by the authority key in the config",
      ),
    );
    const { length } = first.accepted;
    await eventually(() => expect(first.accepted.length).toBeGreaterThan(length + 2));
    expect([miner.ended, stranger.accepted]).toEqual([undefined, []]);
  });
});

describe("an upstream over either transport", () => {
  test("is reached by the preferred one again once that works, with the same socket and no share lost", async () => {
    const folder = await freshFolder();
    const away = await TestPool.start({ folder, transport: "iroh", serverId: 1 });
    await away[Symbol.asyncDispose]();
    await using pool = await TestPool.start({ folder, transport: "tcp", serverId: 1 });
    const { host, port } = parseHostPort(pool.tcpAddress);
    const udpPort = await freeUdpPort();
    const table = `[fallback]
hold_down_secs = 0
[[upstreams]]
transport = "dual"
endpoint_id = "${away.endpointId}"
direct_addresses = ["127.0.0.1:${udpPort}"]
address = "${host}"
port = ${port}
authority_pubkey = "${pool.authority}"
user_identity = "account"
`;
    await using translator = await startTranslator(folder, table);
    await using miner = await Sv1Miner.connect(translator.address, "account.one", hashing);
    await eventually(() => expect(pool.accepted.length).toBeGreaterThan(2));
    expect(translator.status().upstream["transport"]).toBe("tcp");
    await using back = await TestPool.start({ folder, transport: "iroh", serverId: 2, udpPort });
    await eventually(() => expect(back.accepted.length).toBeGreaterThan(2));
    expect(translator.status().upstream["transport"]).toBe("iroh");
    expect([miner.ended, new Set(miner.results)]).toEqual([undefined, new Set(["accepted"])]);
    expect([pool.rejected, back.rejected, translator.status()["shares_unanswered"]]).toEqual([[], [], 0]);
  });
});

async function freeUdpPort(): Promise<number> {
  const socket = createSocket("udp4");
  await new Promise<void>((resolve) => {
    socket.bind(0, "127.0.0.1", resolve);
  });
  const { port } = socket.address();
  await new Promise<void>((resolve) => {
    socket.close(resolve);
  });
  return port;
}

describe("an upstream that cannot be reached", () => {
  test("over Iroh is reached over TCP when it may be", async () => {
    const folder = await freshFolder();
    await using pool = await TestPool.start({ folder, transport: "tcp", serverId: 1 });
    const { host, port } = parseHostPort(pool.tcpAddress);
    await using translator = await startTranslator(
      folder,
      `[[upstreams]]
transport = "dual"
endpoint_id = "${"ab".repeat(32)}"
address = "${host}"
port = ${port}
authority_pubkey = "${pool.authority}"
user_identity = "account"`,
    );
    await using miner = await Sv1Miner.connect(translator.address, "account.one", hashing);
    await eventually(() => expect(pool.accepted.length).toBeGreaterThan(2));
    expect([miner.ended, translator.status().upstream["transport"]]).toEqual([undefined, "tcp"]);
  });

  test("is passed over for the next one", async () => {
    const folder = await freshFolder();
    await using pool = await TestPool.start({ folder, transport: "tcp", serverId: 1 });
    const nowhere = '[[upstreams]]\naddress = "127.0.0.1"\nport = 1\nuser_identity = "nobody"\n';
    await using translator = await startTranslator(folder, nowhere + upstreamTable(pool, "tcp"));
    await using miner = await Sv1Miner.connect(translator.address, "account.one", hashing);
    await eventually(() => expect(pool.accepted.length).toBeGreaterThan(2));
    expect(miner.ended).toBeUndefined();
  });
});

test("hostile connections are closed for what they do, and an honest miner beside them loses nothing", async () => {
  const folder = await freshFolder();
  await using pool = await TestPool.start({ folder, transport: "tcp", serverId: 1 });
  await using translator = await startTranslator(folder, upstreamTable(pool, "tcp"));
  await using honest = await Sv1Miner.connect(translator.address, "account.honest", hashing);
  await eventually(() => expect(honest.accepted).toBeGreaterThan(0));
  const subscribe = '{"id":1,"method":"mining.subscribe","params":[]}\n';
  const attacks: readonly string[] = [
    "x".repeat(1024 * 1024),
    `${subscribe}${"y".repeat(1024 * 1024)}`,
    "GET / HTTP/1.1\r\n\r\n",
    `${subscribe}${"{junk}\n".repeat(5000)}`,
    '{"id":1,"method":"mining.get_transactions","params":[]}\n'.repeat(5000),
    `${"[".repeat(3000)}\n`,
    "",
  ];
  const endings = await Promise.all(attacks.map((text) => attack(translator.address, text)));
  expect(endings.filter((ending) => ending !== "closed")).toEqual([]);
  const before = pool.accepted.length;
  await eventually(() => expect(pool.accepted.length).toBeGreaterThan(before + 5));
  expect([honest.ended, honest.results.filter((result) => result !== "accepted")]).toEqual([undefined, []]);
  expect(pool.rejected).toEqual([]);
  await eventually(() => expect(translator.status()["miners"]).toHaveLength(1));
});

/** Writes this to a fresh connection and waits until the translator ends it. */
async function attack(address: string, text: string): Promise<string> {
  const stream = await tcp().dial(address, { signal: AbortSignal.timeout(5000) });
  const writing = stream.write(new TextEncoder().encode(text)).catch(() => {});
  const reading = (async () => {
    try {
      for await (const _ of stream.source);
    } catch {
      // Broken off is closed, too.
    }
    return "closed";
  })();
  const ending = await Promise.race([
    reading,
    vi.waitFor(() => Promise.reject(new Error("open")), { timeout: 15_000 }),
  ]);
  stream.abort(new Error("the attack is over"));
  await writing;
  return ending;
}
