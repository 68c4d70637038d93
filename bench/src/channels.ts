import { MAX_TARGET, pureHashing, type ShareHashing, targetToBytes } from "@adit/bitcoin";
import {
  type ClientChannel,
  defaultChannelLimits,
  defaultVardiffOptions,
  MiningClient,
  MiningServer,
  type ServerEffect,
  type ServerInput,
} from "@adit/channels";
import { dialect, REQUIRES_STANDARD_JOBS, u256 } from "@adit/codec";
import { loadCrypto } from "@adit/fast-crypto";
import type { FrameSealer, NoiseCrypto } from "@adit/noise";
import { type Case, measureRounds, quantile, timed } from "./measure.ts";
import { mine } from "./mining-work.ts";
import { bytes, FULL_DEPTH, newPrevHash, newTemplate, REWARD, START } from "./samples.ts";
import type { BenchOptions, Suite } from "./suite.ts";

const encoder = dialect("mining");
const SHARE_CHANNELS = 50;
/** Templates whose median is one sample: a single one is over before the system has noticed. */
const TEMPLATES = 11;
/** A benchmark's miner sends more than a channel's difficulty can explain, and its templates come at one moment. */
const unhurried = { shareRateFactor: 1e9, shareBurst: 1e9, jobsPerSecond: 1e9, jobBurst: 1e9 } as const;

type Kind = "standard" | "extended";

/** What the core of a pool costs: shares judged, and jobs given out. */
export const channels: Suite = {
  async *run(options) {
    const { noise, hashing, report } = await loadCrypto();
    yield {
      title: "Shares through MiningServer.handle: judged, checked for duplicates, recorded, acknowledged",
      unit: "shares/s",
      rows: await measureRounds(shareCases(hashing, options), options),
      notes: [
        `one core, ${SHARE_CHANNELS} channels on as many connections; the store answers at once`,
        `fast is ${report}; "hashing alone" is ShareHashing.shareHash of as many shares of that size`,
      ],
    };
    yield {
      title: "One template to every channel",
      unit: "ns of work",
      rows: await measureRounds(fanOutCases({ hashing, noise }, options), options),
      notes: [
        "one connection a channel; cost on one core of everything but the system's send calls",
        "extended channels get one message, standard channels a merkle root each; a full pool encodes once and seals for each",
      ],
    };
  },
};

function shareCases(fast: ShareHashing, options: BenchOptions): readonly Case[] {
  const count = options.quick ? 2_000 : 20_000;
  const sets = [
    { label: `merkle path of ${FULL_DEPTH}`, kind: "extended", depth: FULL_DEPTH },
    { label: "merkle path of 0", kind: "extended", depth: 0 },
    { label: "standard channels", kind: "standard", depth: FULL_DEPTH },
  ] as const;
  return sets.flatMap(({ label, kind, depth }) => {
    const load = shareLoad({ kind, depth, count }, fast);
    const alone = (hashing: ShareHashing) => () => count / (timed(() => load.hashAll(hashing)) / 1e9);
    const through = (hashing: ShareHashing) => () => count / (load.judgeAll(hashing) / 1e9);
    const withHashing = kind === "extended";
    return [
      { label: `${label}: pure`, sample: through(pureHashing) },
      { label: `${label}: fast`, against: [`${label}: pure`], sample: through(fast) },
      ...(withHashing
        ? [{ label: `${label}: fast, hashing alone`, against: [`${label}: fast`], sample: alone(fast) }]
        : []),
    ];
  });
}

interface ShareLoad {
  /** Gives every share to a fresh server and returns the nanoseconds. */
  readonly judgeAll: (hashing: ShareHashing) => number;
  /** Only hashes every share. */
  readonly hashAll: (hashing: ShareHashing) => void;
}

/** Shares for every channel. Servers are deterministic: what was mined on one is valid on the next. */
function shareLoad(
  { kind, depth, count }: { readonly kind: Kind; readonly depth: number; readonly count: number },
  fast: ShareHashing,
): ShareLoad {
  const opened = openPool({ kind, depth, channels: SHARE_CHANNELS }, fast);
  const perChannel = count / SHARE_CHANNELS;
  const inputs = opened.channels.flatMap((channel, connection): readonly ServerInput[] =>
    mine(channel, { hashing: fast, count: perChannel, round: 0 }).map((message) => {
      return { type: "message", connection, message, worker: undefined };
    }),
  );
  const template = newTemplate(1, { depth, future: true });
  const coinbase = bytes(198, 1);
  const header = { version: template.version, prevHash: bytes(32, 1), ntime: 1, nbits: 1, nonce: 1 };
  return {
    judgeAll: (hashing) => {
      const { server } = openPool({ kind, depth, channels: SHARE_CHANNELS }, hashing);
      let recorded = 0;
      const spent = timed(() => {
        for (const input of inputs) recorded += judge(server, input);
      });
      if (recorded !== count) throw new Error(`${count - recorded} of ${count} shares were refused`);
      return spent;
    },
    hashAll: (hashing) => {
      for (let done = 0; done < count; done++) {
        hashing.shareHash({ coinbase, merklePath: template.merklePath, header: { ...header, nonce: done } });
      }
    },
  };
}

function judge(server: MiningServer, input: ServerInput): number {
  let recorded = 0;
  for (const effect of server.handle(input, START)) {
    if (effect.type !== "record-share") continue;
    server.handle({ type: "share-recorded", share: effect.share, result: "recorded" }, START);
    recorded += 1;
  }
  return recorded;
}

function fanOutCases(
  { hashing, noise }: { readonly hashing: ShareHashing; readonly noise: NoiseCrypto },
  { quick }: BenchOptions,
): readonly Case[] {
  const sets = [
    { kind: "extended", channels: 1_000 },
    ...(quick ? [] : [{ kind: "extended", channels: 10_000 } as const]),
    { kind: "standard", channels: 1_000 },
  ] as const;
  return sets.flatMap(({ kind, channels }) => {
    const pool = openPool({ kind, depth: FULL_DEPTH, channels }, hashing);
    const what = `${channels.toLocaleString("en-US")} ${kind}`;
    const base = `${what}: core`;
    const isShared = kind === "extended";
    const sealers = pool.channels.map(() => noise.frameSealer(bytes(32, 1)));
    const steps = [
      { label: `${what}: core, encoded once a message`, deliver: encodeOnce },
      // Every standard channel gets a message of its own anyway.
      ...(isShared ? [{ label: `${what}: core, encoded for each connection`, deliver: encodeForEach }] : []),
      { label: `${what}: core, encoded once, sealed for each`, deliver: sealForEach(sealers) },
    ];
    const once = (deliver: (effects: readonly ServerEffect[]) => void): number => {
      const template = pool.nextTemplate();
      return timed(() => deliver(pool.server.handle({ type: "template", template }, START)));
    };
    const measured = (deliver: (effects: readonly ServerEffect[]) => void) => () =>
      quantile(
        Array.from({ length: TEMPLATES }, () => once(deliver)),
        0.5,
      );
    return [
      { label: base, sample: measured(expectEffects) },
      ...steps.map(({ label, deliver }) => ({ label, against: [base], sample: measured(deliver) })),
    ];
  });
}

function expectEffects(effects: readonly ServerEffect[]): void {
  if (!effects.some((effect) => effect.type === "send")) throw new Error("the template reached no channel");
}

function encodeOnce(effects: readonly ServerEffect[]): void {
  for (const effect of effects) if (effect.type === "send") encoder.encode(effect.message);
}

function encodeForEach(effects: readonly ServerEffect[]): void {
  for (const effect of effects) if (effect.type === "send") for (const _ of effect.to) encoder.encode(effect.message);
}

function sealForEach(sealers: readonly FrameSealer[]): (effects: readonly ServerEffect[]) => void {
  return (effects) => {
    for (const effect of effects) {
      if (effect.type !== "send") continue;
      const frame = encoder.encode(effect.message);
      for (const connection of effect.to) sealers[connection]?.seal(frame);
    }
  };
}

interface OpenPool {
  readonly server: MiningServer;
  /** The client's view, by connection. */
  readonly channels: readonly ClientChannel[];
  readonly nextTemplate: () => ReturnType<typeof newTemplate>;
}

/** A server with work, and channels with one connection each. */
function openPool(
  { kind, depth, channels }: { readonly kind: Kind; readonly depth: number; readonly channels: number },
  hashing: ShareHashing,
): OpenPool {
  const server = new MiningServer({
    hashing,
    extranonce: { totalSize: 20, prefix: Uint8Array.of(1), indexSize: 3, start: 0 },
    rewardOutputs: () => [REWARD],
    coinbaseTag: "Adit",
    sharesPerMinute: 6,
    shareBatchSize: 10,
    ackIntervalMs: 5_000,
    // Every second hash is a share: mining is not what is measured.
    minHashrate: 0.1,
    vardiff: defaultVardiffOptions,
    versionRollingAllowed: true,
    limits: { ...defaultChannelLimits, ...unhurried, seenSharesPerChannel: 2 ** 24 },
    customJobs: null,
  });
  let templateId = 1;
  server.handle({ type: "template", template: newTemplate(templateId, { depth, future: true }) }, START);
  server.handle({ type: "prev-hash", prevHash: newPrevHash(templateId) }, START);
  return {
    server,
    channels: Array.from({ length: channels }, (_, connection) => openChannel(server, connection, kind)),
    nextTemplate: () => newTemplate(++templateId, { depth, future: false }),
  };
}

function openChannel(server: MiningServer, connection: number, kind: Kind): ClientChannel {
  const client = new MiningClient();
  const flags = kind === "standard" ? REQUIRES_STANDARD_JOBS : 0;
  server.handle({ type: "connected", connection, flags, extensions: new Set() }, START);
  const request = {
    requestId: 1,
    userIdentity: `bench.${connection}`,
    nominalHashRate: 0,
    maxTarget: u256(targetToBytes(MAX_TARGET)),
  };
  const message =
    kind === "standard" ? client.openStandard(request) : client.openExtended({ ...request, minExtranonceSize: 8 });
  for (const effect of server.handle({ type: "message", connection, message, worker: undefined }, START)) {
    if (effect.type === "send") client.handle(effect.message, START);
  }
  const [channel] = client.channels.values();
  if (channel === undefined) throw new Error(`channel ${connection} was not opened`);
  return channel;
}
