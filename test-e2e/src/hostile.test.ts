import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { connect } from "node:net";
import { dialect, type MiningMessage, REQUIRES_WORK_SELECTION, type SetupConnection, u256 } from "@adit/codec";
import { dialSv2, type Sv2Connection, systemEntropy } from "@adit/network-helpers";
import { alpns, type IrohNodeManager } from "@adit/network-helpers/iroh";
import { tcp } from "@adit/network-helpers/tcp";
import {
  ACT1_SIZE,
  authorityPublicKey,
  decodeAuthorityPublicKey,
  encodeAuthorityPublicKey,
  pureCrypto,
  ResponderIdentity,
} from "@adit/noise";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { poolToml, sv1MinerToml, templateProviderToml, translatorToml, upstream } from "./harness/configs.ts";
import { dialPool, dialStream, loopbackNode } from "./harness/dial.ts";
import { RawPeer } from "./harness/raw-peer.ts";
import { Stage } from "./harness/stage.ts";
import { Sv1Client } from "./harness/sv1-client.ts";
import type { TestRole } from "./harness/test-role.ts";
import { until } from "./harness/until.ts";

const DEADLINES = "handshake_timeout_secs = 4\nsetup_timeout_secs = 4";
/** A deadline of the roles, and what a busy machine adds to it. */
const PATIENCE_MS = 25_000;

const someAuthority = encodeAuthorityPublicKey(authorityPublicKey(new Uint8Array(32).fill(7)));
const mining = dialect("mining");
const transports = ["tcp", "iroh"] as const;
type Over = (typeof transports)[number];

let stage: Stage;
let templateProvider: TestRole;
let pool: TestRole;
let translator: TestRole;
let miner: TestRole;
let node: IrohNodeManager;
let honest: { readonly since: number | null | undefined; readonly shares: number };
let memory: ReadonlyMap<TestRole, number>;

const servers = (): readonly TestRole[] => [templateProvider, pool, translator];
const nodeFor = (over: Over): IrohNodeManager | undefined => (over === "iroh" ? node : undefined);

beforeAll(async () => {
  stage = await Stage.open();
  node = await loopbackNode();
  templateProvider = await stage.start("template-provider", (folder) =>
    templateProviderToml(folder, { limits: `${DEADLINES}\nconstraints_timeout_secs = 4` }),
  );
  pool = await stage.start("pool", (folder) => poolToml(folder, templateProvider, { limits: DEADLINES }));
  translator = await stage.start("translator", (folder) =>
    translatorToml(folder, [upstream(pool, "iroh")], { limits: "handshake_timeout_secs = 4" }),
  );
  miner = await stage.start("mining-device", () => sv1MinerToml(translator));
  await until("an honest share", async () => (await pool.status()).shares_accepted > 0);
  memory = new Map(servers().map((role) => [role, residentMiB(role)]));
});

afterAll(async () => {
  await node[Symbol.asyncDispose]();
  await stage[Symbol.asyncDispose]();
});

beforeEach(async () => {
  honest = { since: await connectedSince(), shares: (await pool.status()).shares_accepted };
});

/** Nobody else notices: every role answers, and the honest miner's shares go on over the connections it had. */
afterEach(async () => {
  for (const role of servers()) {
    expect(role.isRunning).toBe(true);
    const asked = performance.now();
    await role.status();
    expect(performance.now() - asked).toBeLessThan(5_000);
  }
  await until("honest shares go on", async () => (await pool.status()).shares_accepted > honest.shares);
  expect(await connectedSince()).toBe(honest.since);
  // A block may come between a share and its answer, on any day.
  const { "stale-share": _, ...refusals } = (await miner.status()).shares_rejected_by_reason;
  expect(refusals).toEqual({});
  expect(translator.log()).not.toMatch(/upstream lost/);
});

async function connectedSince(): Promise<number | null | undefined> {
  return (await miner.status()).connections[0]?.since;
}

function residentMiB({ pid }: TestRole): number {
  const [, kib = "0"] = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? [];
  return Number(kib) / 1024;
}

async function rawPeer(role: TestRole, over: Over, alpn?: string): Promise<RawPeer> {
  return new RawPeer(await dialStream(role, nodeFor(over), alpn));
}

const setup: SetupConnection = {
  name: "SetupConnection",
  protocol: 0,
  minVersion: 2,
  maxVersion: 2,
  flags: 0,
  endpointHost: "",
  endpointPort: 0,
  vendor: "hostile",
  hardwareVersion: "",
  firmware: "",
  deviceId: "",
};

const needy = { flags: REQUIRES_WORK_SELECTION } as const;

/** What a stranger says on its own, before any handshake. */
const strangers: Record<string, { readonly bytes: () => Uint8Array; readonly reason: RegExp }> = {
  "random bytes": { bytes: () => randomBytes(400), reason: /could not be decrypted|seems to speak/ },
  "plain HTTP": {
    bytes: () => Buffer.from(`GET /api/v1/status HTTP/1.1\r\nHost: ${"pool.example.".repeat(20)}\r\n\r\n`),
    reason: /seems to speak HTTP/,
  },
  "a TLS ClientHello": {
    bytes: () => Buffer.concat([Buffer.from("160301020001", "hex"), randomBytes(400)]),
    reason: /seems to speak TLS/,
  },
  "Stratum V1": {
    bytes: () => Buffer.from(`{"id":1,"method":"mining.subscribe","params":["${"x".repeat(300)}"]}\n`),
    reason: /seems to speak Stratum V1/,
  },
};

/** What a peer does wrong after an honest handshake. */
const faults: Record<string, { readonly talk: (peer: RawPeer) => Promise<void>; readonly reason: RegExp }> = {
  "a channel opened before SetupConnection": {
    talk: (peer) => peer.sendFrame(0x13, new Uint8Array(60)),
    reason: /protocol-violation|not SetupConnection/,
  },
  "a SetupConnection cut short": {
    talk: (peer) => peer.sendFrame(0x00, mining.encode(setup).subarray(6, 14)),
    reason: /protocol-violation/,
  },
  "four megabytes announced before SetupConnection": {
    talk: (peer) => peer.announce(0x00, 4_000_000),
    reason: /a frame of 4000000 bytes, at most 1291 are allowed now/,
  },
  "a large frame announced after SetupConnection": {
    talk: async (peer) => {
      await peer.sendWhole(mining.encode(setup));
      await peer.receive();
      await peer.announce(0x1b, 100_000);
    },
    reason: /a frame of 100000 bytes, at most 512 are allowed now/,
  },
  "a second SetupConnection": {
    talk: async (peer) => {
      await peer.sendWhole(mining.encode(setup));
      await peer.sendWhole(mining.encode(setup));
    },
    reason: /a second SetupConnection/,
  },
  "a message that only a pool may send": {
    talk: async (peer) => {
      await peer.sendWhole(mining.encode(setup));
      await peer.sendWhole(mining.encode({ name: "SetTarget", channelId: 1, maximumTarget: u256(new Uint8Array(32)) }));
    },
    reason: /SetTarget is not for it to send/,
  },
  "a share cut short": {
    talk: async (peer) => {
      await peer.sendWhole(mining.encode(setup));
      await peer.sendFrame(0x1b, new Uint8Array(7), true);
    },
    reason: /protocol-violation/,
  },
  "a frame with a bit turned over": {
    talk: async (peer) => {
      await peer.sendWhole(mining.encode(setup));
      await peer.receive();
      await peer.send(randomBytes(80));
    },
    reason: /could not be decrypted/,
  },
  "frames that nobody knows, without end": {
    talk: async (peer) => {
      await peer.sendWhole(mining.encode(setup));
      for (let sent = 0; sent < 20; sent += 1) await peer.sendFrame(0xee, new Uint8Array(4));
    },
    reason: /too many frames that nobody knows/,
  },
};

describe.each(transports)("a pool over %s", (over) => {
  test.each(Object.entries(strangers))("hangs up on %s, and logs why", async (_name, { bytes, reason }) => {
    const from = pool.log().length;
    using peer = await rawPeer(pool, over);
    await peer.send(bytes());
    await peer.closed(PATIENCE_MS);
    await pool.logged(reason, from);
  });

  test.each(Object.entries(faults))("hangs up on %s, and logs why", async (_name, { talk, reason }) => {
    const from = pool.log().length;
    using peer = await (await rawPeer(pool, over)).shakeHands(pool.details.authority_public_key);
    await talk(peer);
    await peer.closed(PATIENCE_MS);
    await pool.logged(reason, from);
  });

  test.each([
    ["another sub-protocol", { protocol: 2 }, { flags: 0, errorCode: "unsupported-protocol" }],
    ["a later version only", { minVersion: 3, maxVersion: 9 }, { flags: 0, errorCode: "protocol-version-mismatch" }],
    ["work selection", needy, { ...needy, errorCode: "unsupported-feature-flags" }],
  ])("answers a peer that wants %s with the spec's error, then hangs up", async (_name, wish, error) => {
    const from = pool.log().length;
    using peer = await (await rawPeer(pool, over)).shakeHands(pool.details.authority_public_key);
    await peer.sendWhole(mining.encode({ ...setup, ...wish }));
    const answer = mining.decode(await peer.receive());
    expect(answer).toMatchObject({ message: { name: "SetupConnectionError", ...error } });
    await peer.closed(PATIENCE_MS);
    await pool.logged(new RegExp(error.errorCode), from);
  });

  test("answers shares for unknown channels and jobs, and those of the wrong size or weight, and goes on serving", async () => {
    const connection = await dialPool(pool, nodeFor(over));
    const hear = listener(connection);
    await connection.write({
      name: "OpenExtendedMiningChannel",
      requestId: 1,
      userIdentity: "hostile",
      nominalHashRate: 1e12,
      maxTarget: u256(new Uint8Array(32).fill(0xff)),
      minExtranonceSize: 4,
    });
    const { channelId, extranonceSize } = await hear("OpenExtendedMiningChannelSuccess");
    const { jobId, version } = await hear("NewExtendedMiningJob");
    const { minNtime: ntime } = await hear("SetNewPrevHash");
    const extranonce = new Uint8Array(extranonceSize);
    const share = { name: "SubmitSharesExtended", channelId, jobId, nonce: 1, ntime, version, extranonce } as const;
    const wrong = [
      ["invalid-channel-id", { channelId: 0xfffffff0 }],
      ["invalid-job-id", { jobId: 0xfffffff0 }],
      ["bad-extranonce-size", { extranonce: new Uint8Array(extranonceSize + 1) }],
      ["bad-extranonce-size", { extranonce: new Uint8Array(0) }],
      ["invalid-share", { ntime: 1 }],
      ["difficulty-too-low", {}],
    ] as const;
    for (const [sequenceNumber, [errorCode, change]] of wrong.entries()) {
      await connection.write({ ...share, ...change, sequenceNumber });
      expect(await hear("SubmitSharesError")).toMatchObject({ sequenceNumber, errorCode });
    }
    await connection.write({
      name: "UpdateChannel",
      channelId: 77,
      nominalHashRate: 1,
      maximumTarget: u256(new Uint8Array(32)),
    });
    expect(await hear("UpdateChannelError")).toMatchObject({ channelId: 77, errorCode: "invalid-channel-id" });
    await connection.write({
      name: "OpenExtendedMiningChannel",
      requestId: 2,
      userIdentity: "hostile",
      nominalHashRate: Number.NaN,
      maxTarget: u256(new Uint8Array(32).fill(0xff)),
      minExtranonceSize: 32,
    });
    expect((await hear("OpenMiningChannelError")).requestId).toBe(2);
    await connection[Symbol.asyncDispose]();
  });

  test("is left by a client that expects another authority", async () => {
    await expect(dialPool(pool, nodeFor(over), someAuthority)).rejects.toMatchObject({ code: "authority-mismatch" });
  });

  test("hangs up on the silent, at every step they may fall silent at, and logs why", async () => {
    const from = pool.log().length;
    const shaken = async (): Promise<RawPeer> =>
      await (await rawPeer(pool, over)).shakeHands(pool.details.authority_public_key);
    const partly = async (bytes: number): Promise<RawPeer> => {
      const peer = await rawPeer(pool, over);
      if (bytes > 0) await peer.send(randomBytes(bytes));
      return peer;
    };
    // Over Iroh a stream is there with its first byte.
    const peers = await Promise.all([...(over === "tcp" ? [partly(0)] : []), partly(1), partly(63), shaken()]);
    await Promise.all(peers.map((peer) => peer.closed(PATIENCE_MS)));
    await pool.logged(/timed out while shaking hands/, from);
    await pool.logged(/timed out while waiting for SetupConnection/, from);
    if (over === "tcp") await pool.logged(/timed out while waiting for its first byte/, from);
    for (const peer of peers) peer[Symbol.dispose]();
  });
});

describe("an Iroh node", () => {
  test.each(["pool", "template-provider"])(
    "of a %s turns away who asks for a protocol it does not serve, and logs it",
    async (name) => {
      const role = name === "pool" ? pool : templateProvider;
      const from = role.log().length;
      for (const alpn of ["sv2-nonsense", alpns.job_declaration.noise, alpns.mining.plain]) {
        await expect(dialStream(role, node, alpn)).rejects.toMatchObject({ code: "alpn-mismatch" });
      }
      await role.logged(/iroh connection turned away/, from);
    },
  );
});

/** Hands out the messages of a connection by name, dropping others. */
function listener(connection: Sv2Connection<"mining">) {
  const heard: MiningMessage[] = [];
  const read = async (): Promise<void> => {
    for await (const { message } of connection.messages) heard.push(structuredClone(message) as MiningMessage);
  };
  read().catch(() => {});
  return async <N extends MiningMessage["name"]>(name: N): Promise<Extract<MiningMessage, { name: N }>> => {
    const at = await until(`a ${name}`, () => {
      const found = heard.findIndex((message) => message.name === name);
      return found !== -1 && { found };
    });
    return heard.splice(at.found, 1)[0] as Extract<MiningMessage, { name: N }>;
  };
}

describe.each(transports)("a template provider over %s", (over) => {
  const alpn = alpns.template_distribution.noise;

  async function client(): Promise<Sv2Connection<"template_distribution">> {
    const { name: _, protocol: __, ...hello } = setup;
    return await dialSv2(
      await dialStream(templateProvider, nodeFor(over), alpn),
      { ...hello, protocol: "template_distribution", requestExtensions: [] },
      {
        security: {
          noise: {
            crypto: pureCrypto,
            authority: decodeAuthorityPublicKey(templateProvider.details.authority_public_key),
          },
        },
        signal: new AbortController().signal,
        deadlineMs: PATIENCE_MS,
      },
    );
  }

  /** Resolves when the connection is over. */
  async function ended(connection: Sv2Connection<"template_distribution">): Promise<void> {
    try {
      for await (const _ of connection.messages);
    } catch {
      // Broken off is over, too.
    }
  }

  const solution = { name: "SubmitSolution", version: 1, headerTimestamp: 1, headerNonce: 1 } as const;
  const wrong: Record<
    string,
    { readonly say: (connection: Sv2Connection<"template_distribution">) => Promise<void>; readonly reason: RegExp }
  > = {
    "a solution before the constraints": {
      say: (connection) => connection.write({ ...solution, templateId: 1n, coinbaseTx: new Uint8Array(90) }),
      reason: /SubmitSolution came before the first CoinbaseOutputConstraints/,
    },
    "constraints that no block can meet": {
      say: (connection) =>
        connection.write({
          name: "CoinbaseOutputConstraints",
          coinbaseOutputMaxAdditionalSize: 0xffffffff,
          coinbaseOutputMaxAdditionalSigops: 0,
        }),
      reason: /no block has room for 4294967295 bytes/,
    },
    "a client that never says its constraints": {
      say: async () => {},
      reason: /no CoinbaseOutputConstraints came in time/,
    },
  };

  test.each(Object.entries(wrong))("hangs up on %s, and logs why", async (_name, { say, reason }) => {
    const from = templateProvider.log().length;
    const connection = await client();
    await say(connection);
    await ended(connection);
    await templateProvider.logged(reason, from);
  });

  test("hangs up on plain HTTP and on a miner, and logs why", async () => {
    const from = templateProvider.log().length;
    using browser = await rawPeer(templateProvider, over, alpn);
    await browser.send(strangers["plain HTTP"]?.bytes() ?? new Uint8Array(0));
    await browser.closed(PATIENCE_MS);
    await templateProvider.logged(/seems to speak HTTP/, from);
    using lost = await rawPeer(templateProvider, over, alpn);
    await lost.shakeHands(templateProvider.details.authority_public_key);
    await lost.sendWhole(mining.encode(setup));
    expect(mining.decode(await lost.receive())).toMatchObject({ message: { errorCode: "unsupported-protocol" } });
    await lost.closed(PATIENCE_MS);
  });

  test("refuses solutions for unknown templates and coinbases that are none, and answers for unknown data", async () => {
    const from = templateProvider.log().length;
    const connection = await client();
    await connection.write({
      name: "CoinbaseOutputConstraints",
      coinbaseOutputMaxAdditionalSize: 100,
      coinbaseOutputMaxAdditionalSigops: 4,
    });
    await connection.write({ ...solution, templateId: 7n, coinbaseTx: new Uint8Array(90) });
    await templateProvider.logged(/unknown-template/, from);
    for await (const { message } of connection.messages) {
      if (message.name === "NewTemplate") {
        await connection.write({ ...solution, templateId: message.templateId, coinbaseTx: randomBytes(200) });
        await connection.write({ name: "RequestTransactionData", templateId: 7n });
      }
      if (message.name !== "RequestTransactionDataError") continue;
      expect(message).toMatchObject({ templateId: 7n, errorCode: "template-id-not-found" });
      break;
    }
    await until("two refused solutions in the log", () => {
      return templateProvider.log().slice(from).split("solution refused").length > 2;
    });
    await connection[Symbol.asyncDispose]();
  });
});

/** A notify that starts a new tip. */
function isClean(message: { readonly method?: unknown; readonly params?: unknown }): boolean {
  return message.method === "mining.notify" && (message.params as readonly unknown[]).at(-1) === true;
}

describe("a translator", () => {
  const dial = (): Promise<Sv1Client> => Sv1Client.dial(translator.details.downstream_address);

  async function subscribed(): Promise<Sv1Client> {
    const client = await dial();
    client.request(1, "mining.subscribe", ["hostile/1"]);
    await client.answer(1);
    return client;
  }

  async function authorized(): Promise<Sv1Client> {
    const client = await subscribed();
    client.request(2, "mining.authorize", ["hostile.worker", "x"]);
    await client.answer(2);
    return client;
  }

  test.each([
    ["text", "hello, is this a pool?\n", /not-stratum/],
    ["plain HTTP", "GET / HTTP/1.1\r\nHost: pool\r\n\r\n", /not-stratum/],
    ["a megabyte without a newline", "x".repeat(1_000_000), /line-too-long/],
    [
      "a line of a megabyte",
      `{"id":1,"method":"mining.subscribe","params":["${"x".repeat(1_000_000)}"]}\n`,
      /line-too-long/,
    ],
  ])("hangs up on %s, and logs why", async (_name, text, reason) => {
    const from = translator.log().length;
    using client = await dial();
    client.send(text);
    await client.closed(PATIENCE_MS);
    await translator.logged(reason, from);
  });

  test("answers lines that are no request, to a point", async () => {
    const from = translator.log().length;
    using client = await subscribed();
    const nested = "[".repeat(1000) + "]".repeat(1000);
    client.send(`{"id":11,"method":"mining.submit","params":{"__proto__":{"polluted":1}}}\n`);
    client.send(`{"id":12,"method":5,"params":[]}\n`);
    client.send(`{"id":13,"method":"__proto__","params":[]}\n`);
    client.send(`{"id":14,"method":"constructor","params":[]}\n`);
    for (const id of [11, 12, 13, 14]) expect((await client.answer(id)).error).toEqual(expect.anything());
    client.send(`{"id":15,"method":"mining.ping","params":${nested}}\n{]\nnull\n[1,2]\n\u0000\u0001\n`);
    client.request(16, "mining.ping", []);
    expect(await client.answer(16)).toMatchObject({ result: "pong" });
    client.send("{]\n".repeat(40));
    await client.closed(PATIENCE_MS);
    await translator.logged(/too-many-faults/, from);
  });

  test("answers every wrong share with its error, and takes the right ones of others", async () => {
    using client = await dial();
    const share = (id: number, job: string, extranonce2: string): void =>
      client.request(id, "mining.submit", ["hostile.worker", job, extranonce2, "65000000", "00000001"]);
    const refusal = async (id: number): Promise<unknown> => ((await client.answer(id)).error as readonly unknown[])[0];
    share(3, "1", "0000000000000000");
    expect(await refusal(3)).toBe(25);
    client.request(1, "mining.subscribe", ["hostile/1"]);
    await client.answer(1);
    share(4, "1", "0000000000000000");
    expect(await refusal(4)).toBe(24);
    client.request(2, "mining.authorize", ["hostile.worker", "x"]);
    await client.answer(2);
    const notify = await until("a job", () => client.received.find(({ method }) => method === "mining.notify"));
    const params = (notify as unknown as { params: readonly string[] }).params;
    const [job = "", ntime = ""] = [params[0], params[7]];
    share(5, "no such job", "0000000000000000");
    expect(await refusal(5)).toBe(21);
    // The honest miner may find a block meanwhile, which makes the job stale.
    const tips = (): number => client.received.filter(isClean).length;
    const known = tips();
    const refusedWith = async (id: number, code: number): Promise<void> => {
      const found = await refusal(id);
      expect(tips() > known ? [code, 21] : [code]).toContain(found);
    };
    share(6, job, "00");
    await refusedWith(6, 20);
    share(7, job, "zz00000000000000");
    await refusedWith(7, 20);
    client.request(8, "mining.submit", ["hostile.worker", job, "00".repeat(8), "00000001", "00000001"]);
    await refusedWith(8, 20);
    client.request(9, "mining.submit", [null, 5, {}, [], true]);
    expect(await refusal(9)).toBe(20);
    client.request(10, "mining.submit", ["hostile.worker", job, "00".repeat(8), ntime, "00000001"]);
    await refusedWith(10, 23);
    expect(client.isClosed).toBe(false);
  });

  test("hangs up on a flood, and logs why", async () => {
    const from = translator.log().length;
    using client = await authorized();
    for (let id = 100; id < 1100; id += 1) client.request(id, "mining.ping", []);
    await client.closed(PATIENCE_MS);
    await translator.logged(/message-rate/, from);
  });

  test("hangs up on the silent and on who never says a name, and logs why", async () => {
    const from = translator.log().length;
    using silent = await dial();
    using nameless = await subscribed();
    await Promise.all([silent.closed(PATIENCE_MS), nameless.closed(PATIENCE_MS)]);
    await until("both in the log", () => translator.log().slice(from).split("handshake-timeout").length > 2);
  });

  test("does not mine for a pool of the wrong authority or with an expired certificate, and says so", async () => {
    await using expired = await expiredPool();
    const entry = (authority: string, address: string): string =>
      `address = "127.0.0.1"\nport = ${address.split(":").at(-1)}\nauthority_pubkey = "${authority}"\n`;
    const upstreams = [entry(someAuthority, pool.listener("tcp").address), entry(expired.authority, expired.address)];
    const wary = await stage.launch("translator", (folder) => translatorToml(folder, upstreams), "wary-translator");
    await wary.logged(/not signed by the configured authority key/);
    await wary.logged(/certificate has expired/);
    const { upstream: state } = await wary.status();
    expect(state.state).not.toBe("connected");
    expect(await wary.stop()).toBe(0);
  });
});

/** A server that shakes hands with a certificate of two hours ago, valid for one. */
async function expiredPool(): Promise<AsyncDisposable & { readonly address: string; readonly authority: string }> {
  const authoritySecretKey = new Uint8Array(32).fill(9);
  const identity = new ResponderIdentity({
    crypto: pureCrypto,
    entropy: systemEntropy,
    authoritySecretKey,
    certValiditySec: 3600,
  });
  const listening = await tcp().listen("127.0.0.1:0", { signal: new AbortController().signal });
  const serve = async (): Promise<void> => {
    for await (const stream of listening.streams) {
      for await (const act1 of stream.source) {
        await stream.write(identity.begin(Date.now() - 7_200_000).act1(act1.slice(0, ACT1_SIZE)).bytes).catch(() => {});
        break;
      }
    }
  };
  serve().catch(() => {});
  return {
    address: listening.address,
    authority: encodeAuthorityPublicKey(identity.authorityPublicKey),
    [Symbol.asyncDispose]: () => listening[Symbol.asyncDispose](),
  };
}

describe("all of them", () => {
  test("let others in while a crowd of silent connections comes from one address", async () => {
    const from = pool.log().length;
    const doors = [pool.listener("tcp"), templateProvider.listener("tcp")].map(({ address }) => address);
    const crowd = [...doors, translator.details.downstream_address].flatMap((address) =>
      Array.from({ length: 150 }, () =>
        connect({ host: "127.0.0.1", port: Number(address.split(":").at(-1)), localAddress: "127.0.0.9" }),
      ),
    );
    for (const socket of crowd) socket.on("error", () => {}).resume();
    const asked = performance.now();
    const connection = await dialPool(pool);
    expect(performance.now() - asked).toBeLessThan(10_000);
    await connection[Symbol.asyncDispose]();
    await until("the crowd is gone", () => crowd.every((socket) => socket.closed), PATIENCE_MS);
    await pool.logged(/max-pending-per-source/, from);
  });

  test("have little more memory in use than at the start", () => {
    for (const [role, before] of memory) expect(residentMiB(role) - before, role.name).toBeLessThan(250);
  });
});
