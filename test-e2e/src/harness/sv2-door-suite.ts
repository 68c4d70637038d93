import { connect, type Socket } from "node:net";
import { dialect, type Protocol, type SetupConnection, u256 } from "@adit/codec";
import { ACT1_SIZE } from "@adit/noise";
import { expect, test } from "vitest";
import type { Reachable } from "./dial.ts";
import {
  cuts,
  type Door,
  type Fault,
  faults,
  laterCuts,
  setUp,
  strangers,
  tampered,
  tamperings,
} from "./door-faults.ts";
import { type DoorScene, type Over, PATIENCE_MS } from "./door-scene.ts";
import type { RawPeer } from "./raw-peer.ts";
import type { TestRole } from "./test-role.ts";
import { until } from "./until.ts";

/** The door of one role over one transport. Scene and role are there once tests run. */
export interface DoorUnderAttack extends Door {
  readonly scene: () => DoorScene;
  readonly role: () => TestRole;
  /** Where it is dialled, when that is not where the role itself listens. */
  readonly at?: () => Reachable;
  readonly over: Over;
  readonly protocol: Protocol;
  /** Name of the message that `ordinary` is, as metrics count it. */
  readonly ordinaryName: string;
  /** What the log says of a peer that is set up and then says nothing more, or half of something. */
  readonly idle: RegExp;
}

/** A server's SetupConnection as honest clients send it. */
export function setupFor(protocol: 0 | 1 | 2): SetupConnection {
  return {
    name: "SetupConnection",
    protocol,
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
}

const mining = dialect("mining");
const miner = setupFor(0);

/** What miners may say and hear, whoever serves them. */
export const miningDoor: Omit<DoorUnderAttack, "scene" | "role" | "over"> = {
  protocol: "mining",
  setup: miner,
  hello: mining.encode(miner),
  // For a channel that is not there: answered with an error, and no reason to hang up.
  ordinary: mining.encode({
    name: "UpdateChannel",
    channelId: 77,
    nominalHashRate: 1,
    maximumTarget: u256(new Uint8Array(32).fill(1)),
  }),
  ordinaryName: "UpdateChannel",
  serverOnly: {
    frame: mining.encode({ name: "SetTarget", channelId: 1, maximumTarget: u256(new Uint8Array(32)) }),
    reason: /SetTarget is not for it to send/,
  },
  largest: { type: 0x1b, bytes: 512 },
  idle: /no channel was opened/,
};

/** What holds for every Stratum V2 listener, whatever the role behind it and whatever carries the bytes. */
export function sv2DoorSuite(door: DoorUnderAttack): void {
  const { at = door.role, over, protocol } = door;
  const stranger = (): Promise<RawPeer> => door.scene().stranger(at(), over, protocol);
  const shaken = (): Promise<RawPeer> => door.scene().shaken(at(), over, protocol);
  const meets = async (knock: () => Promise<RawPeer>, { talk, reason }: Fault): Promise<void> => {
    const from = door.role().log().length;
    using peer = await knock();
    await talk(peer, door);
    await peer.closed(PATIENCE_MS);
    await door.role().logged(reason, from);
  };

  test.each(Object.entries({ ...strangers, ...cuts }))("hangs up on %s, and logs why", (_name, fault) =>
    meets(stranger, fault),
  );

  test.each(Object.entries({ ...faults, ...laterCuts }))("hangs up on who sends %s, and logs why", (_name, fault) =>
    meets(shaken, fault),
  );

  test("hangs up on who sends a message that only a server may send, and logs why", () =>
    meets(shaken, {
      talk: async (peer) => {
        await peer.sendWhole(door.hello);
        await peer.sendWhole(door.serverOnly.frame);
      },
      reason: door.serverOnly.reason,
    }));

  test.each(Object.entries(tamperings))("ends a session at %s, and takes nothing of it", async (_name, attack) => {
    const from = door.role().log().length;
    const taken = await received(door);
    using peer = await shaken();
    await setUp(peer, door);
    await attack.talk(peer, door);
    await peer.closed(PATIENCE_MS);
    await door.role().logged(tampered, from);
    expect((await received(door)) - taken).toBe(attack.honest);
  });

  test("gives no session to who sends the bytes of another's, from act 1 on", async () => {
    using victim = await shaken();
    await setUp(victim, door);
    const from = door.role().log().length;
    using thief = await stranger();
    for (const bytes of victim.sent) await thief.send(bytes);
    await thief.closed(PATIENCE_MS);
    await door.role().logged(tampered, from);
    expect(victim.isClosed).toBe(false);
  });

  test("serves a peer whose bytes come one by one", async () => {
    using peer = await shaken();
    for (const byte of peer.seal(door.hello)) await peer.send(Uint8Array.of(byte));
    const answer = dialect(door.protocol).decode(await peer.receive());
    expect(answer).toMatchObject({ message: { name: "SetupConnectionSuccess" } });
  });

  test.each([
    [
      "another sub-protocol",
      { protocol: (door.setup.protocol + 1) % 3 },
      { flags: 0, errorCode: "unsupported-protocol" },
    ],
    ["a later version only", { minVersion: 3, maxVersion: 9 }, { flags: 0, errorCode: "protocol-version-mismatch" }],
    ["unheard-of features", { flags: 0x80000000 }, { flags: 0x80000000, errorCode: "unsupported-feature-flags" }],
  ] as const)("answers a peer that wants %s with the spec's error, then hangs up", async (_name, wish, error) => {
    const from = door.role().log().length;
    using peer = await shaken();
    await peer.sendWhole(dialect(door.protocol).encode({ ...door.setup, ...wish }));
    const answer = dialect(door.protocol).decode(await peer.receive());
    expect(answer).toMatchObject({ message: { name: "SetupConnectionError", ...error } });
    // What still comes is not read: it neither reopens the connection nor keeps the listener from others.
    for (let sent = 0; sent < 3; sent += 1) await peer.sendWhole(door.ordinary);
    await peer.closed(PATIENCE_MS);
    // The server waits a moment for the peer's own end before it breaks the connection off.
    await peer.end();
    await door.role().logged(new RegExp(error.errorCode), from);
  });

  test("hangs up on the silent and the slow, at whatever step, and logs why", async () => {
    const from = door.role().log().length;
    const silentAfter = async (bytes: number): Promise<RawPeer> => {
      const peer = await stranger();
      if (bytes > 0) await peer.send(new Uint8Array(bytes).fill(7));
      return peer;
    };
    const half = await shaken();
    await setUp(half, door);
    await half.send(half.seal(door.ordinary).slice(0, -3));
    const [slowToShake, slowToSetUp] = [await stranger(), await shaken()];
    // Over Iroh a stream is there with its first byte.
    const silent = [...(door.over === "tcp" ? [silentAfter(0)] : []), silentAfter(1), silentAfter(63), shaken()];
    const peers = [half, slowToShake, slowToSetUp, ...(await Promise.all(silent))];
    drip(slowToShake, new Uint8Array(ACT1_SIZE).fill(7));
    drip(slowToSetUp, slowToSetUp.seal(door.hello));
    await Promise.all(peers.map((peer) => peer.closed(PATIENCE_MS)));
    await door.role().logged(/timed out while shaking hands/, from);
    await door.role().logged(/timed out while waiting for SetupConnection/, from);
    await door.role().logged(door.idle, from);
    if (door.over === "tcp") await door.role().logged(/timed out while waiting for its first byte/, from);
    for (const peer of peers) peer[Symbol.dispose]();
  });
}

/** Opens this many connections that say nothing, all from one loopback address, which counts as one source. */
export function silentCrowd(address: string, count: number, localAddress: string): readonly Socket[] {
  const port = Number(address.split(":").at(-1));
  return Array.from({ length: count }, () => {
    const socket = connect({ host: "127.0.0.1", port, localAddress });
    socket.on("error", () => {}).resume();
    return socket;
  });
}

/** Resolves when the other side has closed all of them. */
export async function allClosed(sockets: readonly Socket[]): Promise<void> {
  await until("the crowd is gone", () => sockets.every((socket) => socket.closed), PATIENCE_MS);
}

const DRIP_MS = 100;

/** Sends a byte now and then for as long as there is somebody to hear it. */
function drip(peer: RawPeer, bytes: Uint8Array): void {
  let at = 0;
  const timer = setInterval(() => {
    if (peer.isClosed || at === bytes.length) clearInterval(timer);
    else void peer.send(bytes.slice(at, ++at));
  }, DRIP_MS);
}

/** How many messages like `ordinary` the role has taken. */
async function received({ role, protocol, ordinaryName }: DoorUnderAttack): Promise<number> {
  const line = new RegExp(
    `^sv2_messages_total\\{protocol="${protocol}",message="${ordinaryName}",direction="in"\\} (\\d+)$`,
    "m",
  );
  return Number(line.exec(await role().metrics())?.[1] ?? 0);
}
