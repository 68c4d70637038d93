import { encodeHeader, type Hash, MAX_TARGET, meetsTarget, pureHashing, targetToBytes, workOf } from "@adit/bitcoin";
import { decodeHeader, dialect, HEADER_SIZE, type MiningMessage, REQUIRES_STANDARD_JOBS, u256 } from "@adit/codec";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { ClientChannel } from "./client/client-channel.ts";
import type { ClientEvent } from "./client/client-event.ts";
import type { ClientJob } from "./client/client-job.ts";
import { MiningClient } from "./client/mining-client.ts";
import { defaultOutboundLimits, OutboundQueue } from "./outbound-queue.ts";
import type { AcceptedShare, ServerInput } from "./server/effects.ts";
import { defaultChannelLimits } from "./server/limits.ts";
import { MiningServer } from "./server/mining-server.ts";
import { coinbaseOf, VERSION_ROLLING_MASK } from "./server/share-validation.ts";
import { bytes32, prevHash, START, template } from "./server/testing/harness.ts";
import { defaultVardiffOptions } from "./vardiff.ts";

const wire = dialect("mining");
const ANY_TARGET = u256(targetToBytes(MAX_TARGET));

function throughTheWire(frame: Uint8Array): MiningMessage {
  const decoded = wire.decode({ ...decodeHeader(frame), payload: frame.slice(HEADER_SIZE) });
  if (decoded.kind !== "message") throw new Error(`not a message: ${decoded.kind}`);
  return decoded.message as MiningMessage;
}

interface Submit {
  readonly channel: ClientChannel;
  readonly job: ClientJob;
  readonly hash: Hash;
  /** "waiting", "credited", or the error code of the rejection as soon as the client has read it. */
  outcome: string;
}

/** The client end of one connection: it learns what it reads off the queue and nothing else. */
class Peer {
  readonly connection: number;
  readonly standardJobs: boolean;
  readonly isFast: boolean;
  readonly client: MiningClient = new MiningClient();
  readonly queue: OutboundQueue = new OutboundQueue(defaultOutboundLimits);
  readonly events: ClientEvent[] = [];
  /** Jobs that were mined, newest first. */
  readonly jobs: Map<ClientChannel, { readonly job: ClientJob; readonly since: number }[]> = new Map();
  readonly submits: Map<string, Submit> = new Map();
  requests = 0;

  constructor(connection: number, options: { readonly standardJobs: boolean; readonly isFast: boolean }) {
    this.connection = connection;
    this.standardJobs = options.standardJobs;
    this.isFast = options.isFast;
  }

  channelAt(at: number): ClientChannel | undefined {
    return [...this.client.channels.values()].at(at % Math.max(1, this.client.channels.size));
  }

  read(frame: Uint8Array, now: number): void {
    for (const event of this.client.handle(throughTheWire(frame), now)) {
      this.events.push(event);
      if (event.type === "opened") this.jobs.set(event.channel, []);
      if (event.type === "job") this.jobs.get(event.channel)?.unshift({ job: event.job, since: now });
      if (event.type === "share-rejected") this.#rejected(event);
    }
  }

  /** Faults that the client found in what it was told. */
  get faults(): readonly string[] {
    return this.events.flatMap((event) => (event.type === "protocol-fault" ? [`${event.code}: ${event.detail}`] : []));
  }

  #rejected({ channel, sequenceNumber, errorCode }: Extract<ClientEvent, { type: "share-rejected" }>): void {
    const submit = this.submits.get(`${channel.channelId}/${sequenceNumber}`);
    if (submit !== undefined) submit.outcome = errorCode;
  }
}

/** A server and its clients; every message between them is encoded, queued and decoded. */
class World {
  readonly server: MiningServer;
  readonly peers: Peer[] = [];
  readonly credited: AcceptedShare[] = [];
  now: number = START;
  /** The block that the server builds on. */
  tip: Uint8Array | undefined;
  tipTime = START / 1000;
  /** Templates that wait for their prevhash. */
  futures: number[] = [];
  #templates = 0;
  #tips = 0;
  #awaited: number | undefined;
  #connections = 0;
  #nonce = 0;

  constructor(options: { readonly vardiff?: boolean } = {}) {
    this.server = new MiningServer({
      hashing: pureHashing,
      extranonce: { totalSize: 20, prefix: Uint8Array.of(1), indexSize: 3, start: 0 },
      rewardOutputs: ({ coinbaseTxValueRemaining }) => [
        { value: coinbaseTxValueRemaining, script: Uint8Array.of(0x51) },
      ],
      coinbaseTag: "adit",
      sharesPerMinute: 6,
      shareBatchSize: 3,
      ackIntervalMs: 2000,
      // A share takes eleven hashes at the easiest target.
      minHashrate: 1,
      vardiff: options.vardiff === true ? defaultVardiffOptions : null,
      versionRollingAllowed: true,
      limits: { ...defaultChannelLimits, shareBurst: 10_000, firstChannelMs: Number.POSITIVE_INFINITY },
      customJobs: null,
    });
  }

  connect(options: { readonly standardJobs?: boolean; readonly isFast?: boolean } = {}): Peer {
    const peer = new Peer(++this.#connections, { standardJobs: false, isFast: true, ...options });
    this.peers.push(peer);
    const flags = peer.standardJobs ? REQUIRES_STANDARD_JOBS : 0;
    this.input({ type: "connected", connection: peer.connection, flags, extensions: new Set() });
    return peer;
  }

  input(input: ServerInput): void {
    for (const effect of this.server.handle(input, this.now)) {
      switch (effect.type) {
        case "send": {
          const frame = wire.encode(effect.message);
          for (const to of effect.to) expect(this.#peer(to)?.queue.push(effect.message, frame)).toBe("queued");
          break;
        }
        case "record-share":
          this.#credit(effect.share);
          break;
        case "close-connection":
          throw new Error(`connection ${effect.connection} was closed: ${effect.reason}`);
        default:
      }
    }
    for (const peer of this.peers) if (peer.isFast) this.read(peer);
  }

  read(peer: Peer, count = Number.POSITIVE_INFINITY): void {
    for (let read = 0; read < count; read += 1) {
      const frame = peer.queue.shift();
      if (frame === undefined) return;
      peer.read(frame, this.now);
    }
  }

  say(peer: Peer, message: MiningMessage): void {
    this.input({
      type: "message",
      connection: peer.connection,
      message: throughTheWire(wire.encode(message)),
      worker: undefined,
    });
  }

  open(peer: Peer, kind: "standard" | "extended", nominalHashRate = 1): void {
    const request = { requestId: ++peer.requests, userIdentity: "alice", nominalHashRate, maxTarget: ANY_TARGET };
    const { client } = peer;
    this.say(
      peer,
      kind === "standard" ? client.openStandard(request) : client.openExtended({ ...request, minExtranonceSize: 4 }),
    );
  }

  close(peer: Peer, channelId: number): void {
    peer.queue.forget(channelId);
    this.say(peer, peer.client.close(channelId, "bye"));
  }

  update(peer: Peer, channelId: number, nominalHashRate: number): void {
    this.say(peer, { name: "UpdateChannel", channelId, nominalHashRate, maximumTarget: ANY_TARGET });
  }

  rotate(peer: Peer, channelId: number): void {
    this.input({ type: "rotate-extranonce-prefix", connection: peer.connection, channelId });
  }

  template(futureTemplate: boolean): number {
    const id = ++this.#templates;
    if (futureTemplate && id !== this.#awaited) this.futures.push(id);
    if (id === this.#awaited) this.#awaited = undefined;
    this.input({ type: "template", template: template(id, { futureTemplate }) });
    return id;
  }

  /** A new block, or, if `again`, the last one announced once more with other work. */
  prevHash(templateId: number, again = false): void {
    if (!again || this.tip === undefined) {
      this.tip = bytes32(0).map((_, at) => (at === 0 ? ++this.#tips & 0xff : at === 1 ? this.#tips >> 8 : 0xa0));
      this.tipTime = Math.floor(this.now / 1000);
    }
    this.futures = [];
    const announced = prevHash(templateId, { prevHash: u256(this.tip), headerTimestamp: this.tipTime });
    this.input({ type: "prev-hash", prevHash: announced });
  }

  newTip(): void {
    // The server takes an awaited template as the work on the last tip, not on the next.
    if (this.#awaited !== undefined) this.template(true);
    this.prevHash(this.template(true));
  }

  /** A prevhash whose template comes only after it. */
  lateTemplate(): void {
    this.#awaited = this.#templates + 1;
    this.prevHash(this.#awaited);
  }

  pass(seconds: number): void {
    for (let second = 0; second < seconds; second += 1) {
      this.now += 1000;
      this.input({ type: "tick" });
    }
  }

  /** Mines on a job as its client knows it, and submits the share that barely meets its target, if one is found. */
  mine(
    peer: Peer,
    channel: ClientChannel,
    options: { readonly back?: number; readonly tries?: number; readonly salt?: number } = {},
  ): Submit | undefined {
    const { back = 0, tries = 150, salt = 0 } = options;
    const known = peer.jobs.get(channel)?.[back];
    if (known === undefined || (known.job.state !== "active" && known.job.state !== "past")) return undefined;
    const { job, since } = known;
    const extranonce = new Uint8Array(channel.extranonceSize).map((_, at) => salt + at);
    const merkleRoot = job.merkleRoot ?? rootOf(job, extranonce);
    const ntime = job.minNtime + (salt % (1 + Math.floor((this.now - since) / 1000)));
    const version = (job.version ^ (job.versionRollingAllowed ? (salt * 0x01234560) & VERSION_ROLLING_MASK : 0)) >>> 0;
    let best: { readonly nonce: number; readonly hash: Hash } | undefined;
    for (let tried = 0; tried < tries; tried += 1) {
      const nonce = ++this.#nonce;
      const { prevHash: previous, nbits } = job;
      const hash = pureHashing.headerHash(
        encodeHeader({ version, prevHash: previous, merkleRoot, ntime, nbits, nonce }),
      );
      const isBarely = best === undefined || !meetsTarget(hash, best.hash);
      if (meetsTarget(hash, job.targetBytes) && isBarely) best = { nonce, hash };
    }
    if (best === undefined) return undefined;
    const share = { jobId: job.jobId, nonce: best.nonce, ntime, version };
    const message =
      channel.kind === "standard" ? channel.submitStandard(share) : channel.submitExtended({ ...share, extranonce });
    const submit: Submit = { channel, job, hash: best.hash, outcome: "waiting" };
    peer.submits.set(`${channel.channelId}/${message.sequenceNumber}`, submit);
    this.say(peer, message);
    return submit;
  }

  disconnect(peer: Peer): void {
    this.peers.splice(this.peers.indexOf(peer), 1);
    this.input({ type: "disconnected", connection: peer.connection });
  }

  #peer(connection: number): Peer | undefined {
    return this.peers.find((peer) => peer.connection === connection);
  }

  /** Credit is exactly what the client mined: its hash, on its tip, at the target it believed in. */
  #credit(share: AcceptedShare): void {
    const submit = this.#peer(share.connection)?.submits.get(`${share.channelId}/${share.sequenceNumber}`);
    if (submit === undefined) throw new Error("a share was credited that nobody submitted");
    expect(share.hash).toEqual(submit.hash);
    expect(share.prevHash).toEqual(submit.job.prevHash);
    expect(share.work).toBe(workOf(submit.job.target));
    submit.outcome = "credited";
    this.credited.push(share);
    this.input({ type: "share-recorded", share, result: "recorded" });
  }
}

function rootOf(job: ClientJob, extranonce: Uint8Array): Hash {
  const { coinbaseTxPrefix, coinbaseTxSuffix, merklePath } = job;
  if (coinbaseTxPrefix === undefined || coinbaseTxSuffix === undefined || merklePath === undefined) {
    throw new Error("a job without a coinbase");
  }
  const coinbase = coinbaseOf({ coinbaseTxPrefix, coinbaseTxSuffix }, job.extranoncePrefix, extranonce);
  return pureHashing.merkleRoot(coinbase, merklePath);
}

/** A world with one tip, and one fast connection with one channel. */
function start(kind: "standard" | "extended", options: { readonly standardJobs?: boolean } = {}) {
  const world = new World();
  const peer = world.connect(options);
  world.newTip();
  world.open(peer, kind);
  const channel = peer.channelAt(0)!;
  return { world, peer, channel };
}

const served = [
  { kind: "extended", standardJobs: false },
  { kind: "standard", standardJobs: false },
  { kind: "standard", standardJobs: true },
] as const;

describe.each(served)("on a $kind channel (standard jobs required: $standardJobs)", ({ kind, standardJobs }) => {
  test("a share of the first job, of later ones and of the next tip's is credited", () => {
    const { world, peer, channel } = start(kind, { standardJobs });
    expect(world.mine(peer, channel, { tries: 500 })?.outcome).toBe("credited");
    world.template(false);
    expect(world.mine(peer, channel, { tries: 500 })?.outcome).toBe("credited");
    expect(world.mine(peer, channel, { tries: 500, back: 1 })?.outcome).toBe("credited");
    world.newTip();
    expect(world.mine(peer, channel, { tries: 500 })?.outcome).toBe("credited");
    expect(channel.activeJob?.prevHash).toEqual(world.tip);
    expect(peer.faults).toEqual([]);
  });

  test("a share is hashed with the extranonce prefix its job was received under, also after a rotation", () => {
    const { world, peer, channel } = start(kind, { standardJobs });
    const before = channel.extranoncePrefix;
    world.template(true);
    world.rotate(peer, channel.channelId);
    expect(channel.extranoncePrefix).not.toEqual(before);
    expect(world.mine(peer, channel, { tries: 500 })?.outcome).toBe("credited");
    world.template(false);
    expect(channel.activeJob?.extranoncePrefix).toEqual(channel.extranoncePrefix);
    expect(world.mine(peer, channel, { tries: 500 })?.outcome).toBe("credited");
    expect(world.mine(peer, channel, { tries: 500, back: 1 })?.outcome).toBe("credited");
    world.prevHash(world.futures[0]!);
    expect(channel.activeJob?.extranoncePrefix).toEqual(before);
    expect(world.mine(peer, channel, { tries: 500 })?.outcome).toBe("credited");
  });

  test("a share is credited at the target its job became active with, also after a SetTarget", () => {
    const { world, peer, channel } = start(kind, { standardJobs });
    const before = channel.target;
    world.update(peer, channel.channelId, 4);
    expect(channel.target).toBeLessThan(before);
    expect(channel.activeJob?.target).toBe(before);
    expect(world.mine(peer, channel, { tries: 500 })?.outcome).toBe("credited");
    world.template(false);
    expect(channel.activeJob?.target).toBe(channel.target);
    expect(world.mine(peer, channel, { tries: 2000 })?.outcome).toBe("credited");
    expect(world.mine(peer, channel, { tries: 500, back: 1 })?.outcome).toBe("credited");
    expect(new Set(world.credited.map(({ work }) => work)).size).toBe(2);
  });

  test("every submit is answered, in batches", () => {
    const { world, peer, channel } = start(kind, { standardJobs });
    for (let count = 0; count < 7; count += 1) expect(world.mine(peer, channel, { tries: 500 })).toBeDefined();
    expect(channel.pendingSubmits).toBe(1);
    world.pass(3);
    expect(channel.pendingSubmits).toBe(0);
    expect(accepted(peer)).toBe(7);
  });
});

test("a reader that sleeps through many jobs and a block wakes to the newest work and mines it", () => {
  const world = new World();
  const peer = world.connect({ isFast: false });
  world.newTip();
  world.open(peer, "extended");
  world.open(peer, "standard");
  world.read(peer);
  for (let round = 0; round < 50; round += 1) {
    world.template(false);
    if (round % 10 === 0) world.newTip();
    for (const channel of peer.client.channels.values()) world.update(peer, channel.channelId, 1 + (round % 5));
    world.pass(2);
  }
  expect(peer.queue.size).toBeLessThan(12);
  world.read(peer);
  expect(peer.faults).toEqual([]);
  for (const channel of peer.client.channels.values()) {
    expect(channel.activeJob?.prevHash).toEqual(world.tip);
    expect(world.mine(peer, channel, { tries: 5000 })?.outcome).toBe("credited");
  }
});

function accepted(peer: Peer): number {
  const counts = peer.events.map((event) => (event.type === "shares-accepted" ? event.count : 0));
  return counts.reduce((sum, count) => sum + count, 0);
}

type Step =
  | { readonly do: "work" | "future-work" | "late-template" }
  | { readonly do: "tip"; readonly at: number; readonly again: boolean }
  | { readonly do: "pass"; readonly seconds: number }
  | { readonly do: "open"; readonly peer: number; readonly standard: boolean; readonly hashrate: number }
  | { readonly do: "close" | "rotate" | "reconnect"; readonly peer: number; readonly at: number }
  | { readonly do: "update"; readonly peer: number; readonly at: number; readonly hashrate: number }
  | { readonly do: "mine"; readonly peer: number; readonly at: number; readonly back: number; readonly salt: number }
  | { readonly do: "read"; readonly peer: number; readonly count: number };

const peer = fc.nat(2);
const at = fc.nat(5);
const hashrate = fc.integer({ min: 1, max: 12 });

function one<Do extends Step["do"]>(
  weight: number,
  does: Do,
  fields: { readonly [Key in keyof Omit<Extract<Step, { do: Do }>, "do">]: fc.Arbitrary<unknown> },
): { readonly weight: number; readonly arbitrary: fc.Arbitrary<Step> } {
  return { weight, arbitrary: fc.record({ do: fc.constant(does), ...fields }) as unknown as fc.Arbitrary<Step> };
}

const step: fc.Arbitrary<Step> = fc.oneof(
  one(4, "work", {}),
  one(3, "future-work", {}),
  one(4, "tip", { at: fc.nat(1), again: fc.nat(4).map((n) => n === 0) }),
  one(1, "late-template", {}),
  one(3, "pass", { seconds: fc.integer({ min: 1, max: 12 }) }),
  one(3, "open", { peer, standard: fc.boolean(), hashrate }),
  one(1, "close", { peer, at }),
  one(3, "rotate", { peer, at }),
  one(1, "reconnect", { peer, at }),
  one(4, "update", { peer, at, hashrate }),
  one(14, "mine", { peer, at, back: fc.constantFrom(0, 0, 1, 2, 3), salt: fc.nat(255) }),
  one(8, "read", { peer, count: fc.integer({ min: 1, max: 8 }) }),
);

const kinds = [{ isFast: true }, { isFast: false }, { isFast: false, standardJobs: true }] as const;

class Run {
  readonly world: World;
  readonly peers: Peer[];
  /** Submits on the tip of the time, and behind it. */
  readonly counts = { credited: 0, stale: 0, past: 0 };

  constructor(vardiff: boolean) {
    this.world = new World({ vardiff });
    this.peers = kinds.map((kind) => this.world.connect(kind));
    for (const each of this.peers) this.world.open(each, "standard");
    this.world.newTip();
  }

  take(next: Step): void {
    const { world } = this;
    switch (next.do) {
      case "work":
        world.template(false);
        return;
      case "future-work":
        world.template(true);
        return;
      case "late-template":
        world.lateTemplate();
        return;
      case "tip": {
        // The queue keeps the newest two future jobs for a slow reader.
        const templateId = world.futures.at(-1 - next.at);
        if (templateId === undefined) world.newTip();
        else world.prevHash(templateId, next.again);
        return;
      }
      case "pass":
        world.pass(next.seconds);
        return;
      case "read":
        world.read(this.peers[next.peer]!, next.count);
        return;
      default:
        this.#onConnection(next, this.peers[next.peer]!);
    }
  }

  /** Lets every client catch up: then each has the same work as the server, and every submit its answer. */
  finish(): void {
    const { world, peers } = this;
    world.newTip();
    world.pass(3);
    for (const each of peers) {
      world.read(each);
      expect(each.queue.bytes).toBe(0);
      for (const channel of each.client.channels.values()) {
        expect(channel.activeJob?.prevHash).toEqual(world.tip);
        const submit = world.mine(each, channel, { tries: 300 });
        if (submit !== undefined) this.#judge(submit, each);
      }
    }
    world.pass(3);
    for (const each of peers) {
      world.read(each);
      expect(each.faults).toEqual([]);
      for (const channel of each.client.channels.values()) expect(channel.pendingSubmits).toBe(0);
      const submits = [...each.submits.values()];
      expect(submits.filter(({ outcome }) => outcome === "waiting")).toEqual([]);
      const open = submits.filter(({ channel }) => channel.open);
      expect(accepted(each)).toBeGreaterThanOrEqual(open.filter(({ outcome }) => outcome === "credited").length);
    }
  }

  #onConnection(next: Extract<Step, { readonly peer: number }>, from: Peer): void {
    const { world } = this;
    if (next.do === "open") {
      if (from.client.channels.size < 3)
        world.open(from, from.standardJobs || next.standard ? "standard" : "extended", next.hashrate);
      return;
    }
    if (next.do === "reconnect") {
      world.disconnect(from);
      this.peers[next.peer] = world.connect(kinds[next.peer]);
      return;
    }
    const channel = next.do === "read" ? undefined : from.channelAt(next.at);
    if (channel === undefined) return;
    if (next.do === "close") world.close(from, channel.channelId);
    if (next.do === "rotate") world.rotate(from, channel.channelId);
    if (next.do === "update") world.update(from, channel.channelId, next.hashrate);
    if (next.do === "mine") {
      const submit = world.mine(from, channel, next);
      if (submit !== undefined) this.#judge(submit, from);
    }
  }

  /** What is on the server's tip is credited. Only a block that the client was not yet told of excuses a rejection. */
  #judge(submit: Submit, from: Peer): void {
    const { world, counts } = this;
    const isOnTip = submit.job.prevHash.every((byte, index) => byte === world.tip?.[index]);
    if (isOnTip) {
      expect(submit.outcome).toBe("credited");
      counts.credited += 1;
      if (submit.job.state === "past") counts.past += 1;
      return;
    }
    world.read(from);
    expect(submit.outcome).toMatch(/^(stale-share|invalid-job-id)$/);
    counts.stale += 1;
  }
}

describe("over random interleavings, whatever the pace of the readers", () => {
  const steps = fc.array(step, { minLength: 30, maxLength: 160, size: "max" });

  test("every share that its client holds for valid is credited at its target, unless a block came in between", () => {
    fc.assert(
      fc.property(fc.boolean(), steps, (vardiff, sequence) => {
        replay(sequence, vardiff);
      }),
      { numRuns: 200 },
    );
  });

  test("such shares are many, on active, past and dead jobs", () => {
    const total = { credited: 0, stale: 0, past: 0 };
    for (const sequence of fc.sample(steps, { numRuns: 40, seed: 11 })) {
      const { counts } = replay(sequence, false);
      total.credited += counts.credited;
      total.stale += counts.stale;
      total.past += counts.past;
    }
    expect(total.credited).toBeGreaterThan(200);
    expect(total.past).toBeGreaterThan(20);
    expect(total.stale).toBeGreaterThan(20);
  });
});

function replay(sequence: readonly Step[], vardiff: boolean): Run {
  const run = new Run(vardiff);
  for (const next of sequence) run.take(next);
  run.finish();
  return run;
}
