import {
  bip34Prefix,
  coinbaseAround,
  compactSize,
  encodeOutputs,
  hex,
  MAX_MONEY,
  meetsTarget,
  pureHashing,
  type TxOutput,
  targetToBytes,
  workOf,
} from "@adit/bitcoin";
import { type AcceptedShare, coinbaseOf, defaultChannelLimits, type ServerEffect } from "@adit/channels";
import {
  type MiningMessage,
  type NewExtendedMiningJob,
  REQUIRES_WORK_SELECTION,
  type SetCustomMiningJob,
  u256,
} from "@adit/codec";
import fc from "fast-check";
import { sequence } from "../arbitraries.ts";
import { type ClientView, Harness } from "../inside.ts";
import { type MessageSeed, messageSeed, miningMessage } from "../mining-messages.ts";
import { rule, step, type Target } from "../target.ts";

/** What is wrong with a custom job. */
type Wrong =
  | "nothing"
  | "tip"
  | "nbits"
  | "version"
  | "time"
  | "height"
  | "long"
  | "outputs"
  | "unpaid"
  | "underpaid"
  | "money"
  | "lock"
  | "path"
  | "channel"
  | "token"
  | "used token";

type Step =
  | { readonly do: "connect"; readonly isOrdinary: boolean }
  | { readonly do: "leave" | "open" | "close"; readonly who: number; readonly pick: number }
  | { readonly do: "say"; readonly who: number; readonly message: MessageSeed }
  | {
      readonly do: "set";
      readonly who: number;
      readonly pick: number;
      readonly wrong: Wrong;
      readonly by: number;
      readonly group: boolean;
    }
  | {
      readonly do: "share";
      readonly pick: number;
      readonly twist: "none" | "again" | "elsewhere" | "nonce" | "time";
      readonly by: number;
    }
  | { readonly do: "tip"; readonly block: number }
  | { readonly do: "tick"; readonly seconds: number };

const who = fc.nat(3);
const pick = fc.nat(30);
const wrongs: readonly Wrong[] = [
  "tip",
  "nbits",
  "version",
  "time",
  "height",
  "long",
  "outputs",
  "unpaid",
  "underpaid",
  "money",
  "lock",
  "path",
  "channel",
  "token",
  "used token",
];
const wrong = fc.oneof(
  { weight: 3, arbitrary: fc.constant<Wrong>("nothing") },
  { weight: 2, arbitrary: fc.constantFrom(...wrongs) },
);
const twist = fc.constantFrom("none", "none", "again", "elsewhere", "nonce", "time");

const anyStep: fc.Arbitrary<Step> = fc.oneof(
  { weight: 1, arbitrary: fc.record({ do: fc.constant("connect"), isOrdinary: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom("leave", "close"), who, pick }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("open"), who, pick }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("say"), who, message: messageSeed("client") }) },
  {
    weight: 10,
    arbitrary: fc.record({ do: fc.constant("set"), who, pick, wrong, by: fc.nat(3), group: fc.boolean() }),
  },
  { weight: 10, arbitrary: fc.record({ do: fc.constant("share"), pick, twist, by: fc.nat(9) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("tip"), block: fc.nat(2) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("tick"), seconds: fc.integer({ min: 1, max: 20 }) }) },
) as fc.Arbitrary<Step>;

/** Clients that choose their transactions, at a mining core that is told what their tokens are worth. */
export const customJobs: Target<readonly Step[]> = {
  inputs: sequence(anyStep, 120),
  run(steps) {
    const play = new Play();
    for (const one of steps) play.take(one);
  },
};

const PAYOUT = Uint8Array.of(0x51);
const OTHER: TxOutput = { value: 1_000n, script: Uint8Array.of(0x52) };
const VALUE = 5_000_000_000n;
const HEIGHT = 800_000;
const MIN_PERCENT = 50;
const TIP_WAIT_MS = 5_000;
const MOST_HASHES = 256;

/** A custom job on its way: what was asked, and what must come of it. */
interface Asked {
  readonly connection: number;
  readonly message: SetCustomMiningJob;
  readonly isRight: boolean;
}

/** A custom job that was taken, for one channel. */
interface Taken {
  readonly connection: number;
  readonly view: ClientView;
  readonly jobId: number;
  readonly message: SetCustomMiningJob;
  readonly tip: number;
  readonly target: ClientView["target"];
  readonly prefix: Uint8Array;
}

class Play {
  readonly #harness: Harness;
  #connections: number[] = [];
  #last = 0;
  #requestId = 0;
  #templates = 0;
  #tip = 0;
  readonly #ordinary = new Set<number>();
  readonly #asked: Asked[] = [];
  readonly #usedTokens = new Set<string>();
  readonly #taken: Taken[] = [];
  readonly #credited = new Set<string>();
  readonly #sent: { readonly connection: number; readonly message: MiningMessage }[] = [];

  constructor() {
    this.#harness = new Harness({
      extranonce: { totalSize: 20, prefix: Uint8Array.of(1), indexSize: 1, start: 0 },
      shareBatchSize: 1,
      rewardOutputs: ({ coinbaseTxValueRemaining: value }) => [{ value, script: PAYOUT }],
      limits: {
        ...defaultChannelLimits,
        workSelectionChannels: 3,
        pastCustomJobs: 3,
        customJobsPerSecond: 1_000,
        customJobBurst: 1_000,
        customTipWaitMs: TIP_WAIT_MS,
        noShareMs: 1e9,
        firstChannelMs: 1e9,
      },
      customJobs: {
        payoutScript: PAYOUT,
        minPayoutPercent: MIN_PERCENT,
        judge: ({ message }) => this.#judge(message.miningJobToken),
      },
    });
    this.#harness.store = (share) => this.#store(share);
    for (const isOrdinary of [false, false, true]) this.take({ do: "connect", isOrdinary });
    this.take({ do: "tip", block: 0 });
    for (const at of [0, 1, 2]) this.take({ do: "open", who: at, pick: 0 });
  }

  take(one: Step): void {
    for (const effect of this.#perform(one)) {
      if (effect.type === "send") this.#hear(effect.to, effect.message);
      if (effect.type === "close-connection") this.#forget(effect.connection);
    }
  }

  #perform(one: Step): readonly ServerEffect[] {
    switch (one.do) {
      case "connect":
        return this.#connect(one.isOrdinary);
      case "leave":
        return this.#from(one.who, (connection) => {
          this.#forget(connection);
          return step(() => this.#harness.input({ type: "disconnected", connection }));
        });
      case "open":
        return this.#from(one.who, (connection) => step(() => this.#harness.requestOpen(connection)));
      case "close":
        return this.#from(one.who, (connection) => this.#close(connection, one.pick));
      case "say":
        return this.#from(one.who, (connection) => this.#say(connection, miningMessage(one.message)));
      case "set":
        return this.#from(one.who, (connection) => this.#set(connection, one));
      case "share":
        return this.#share(one);
      case "tip":
        this.#templates += 1;
        this.#tip = one.block;
        return step(() => this.#harness.newTip(this.#templates, { prevHash: tipHash(one.block) }));
      case "tick":
        return Array.from({ length: one.seconds }, () => step(() => this.#harness.tick(1))).flat();
      default:
        return one satisfies never;
    }
  }

  #connect(isOrdinary: boolean): readonly ServerEffect[] {
    if (this.#connections.length >= 5) return [];
    this.#last += 1;
    this.#connections.push(this.#last);
    if (isOrdinary) this.#ordinary.add(this.#last);
    this.#harness.connect(this.#last, isOrdinary ? 0 : REQUIRES_WORK_SELECTION);
    return [];
  }

  #forget(connection: number): void {
    this.#connections = this.#connections.filter((one) => one !== connection);
    this.#harness.channels.delete(connection);
  }

  #from(at: number, act: (connection: number) => readonly ServerEffect[]): readonly ServerEffect[] {
    const connection = this.#connections[at % Math.max(1, this.#connections.length)];
    return connection === undefined ? [] : act(connection);
  }

  #close(connection: number, at: number): readonly ServerEffect[] {
    const view = this.#viewAt(connection, at);
    return view === undefined ? [] : step(() => this.#harness.close(connection, view));
  }

  /** Anything at all, but what would change which channels there are without the model's knowing. */
  #say(connection: number, message: MiningMessage): readonly ServerEffect[] {
    if (message.name === "CloseChannel") return [];
    if (message.name === "SetCustomMiningJob") this.#asked.push({ connection, message, isRight: false });
    return step(() => this.#harness.send(connection, message));
  }

  #set(
    connection: number,
    { pick: at, wrong: what, by, group }: Extract<Step, { do: "set" }>,
  ): readonly ServerEffect[] {
    const view = this.#viewAt(connection, at);
    if (view === undefined) return [];
    this.#requestId += 1;
    const requestId = 100 + this.#requestId;
    const channelId = group ? view.groupChannelId : view.channelId;
    const right = this.#rightJob({ channelId, requestId, by });
    const message = { ...right, ...this.#spoilt(right, what) };
    // One on an unknown block may wait until that is the tip.
    const isRight = (what === "nothing" || what === "tip") && !this.#ordinary.has(connection);
    this.#asked.push({ connection, message, isRight });
    return step(() => this.#harness.send(connection, message));
  }

  /** A job that pays all, or a part, to the pool. */
  #rightJob({ channelId, requestId, by }: { channelId: number; requestId: number; by: number }): SetCustomMiningJob {
    const part = (VALUE * BigInt(100 - 10 * by)) / 100n;
    const outputs = [
      { value: part, script: PAYOUT },
      { value: VALUE - part, script: OTHER.script },
    ];
    return {
      name: "SetCustomMiningJob",
      channelId,
      requestId,
      miningJobToken: Uint8Array.of(1, requestId & 0xff, requestId >> 8),
      version: 0x20000000,
      prevHash: tipHash(this.#tip),
      minNtime: Math.floor(this.#harness.now / 1000),
      nbits: 0x1d00ffff,
      coinbaseTxVersion: 2,
      coinbasePrefix: bip34Prefix(HEIGHT),
      coinbaseTxInputNSequence: 0xfffffffe,
      coinbaseTxOutputs: counted(outputs),
      coinbaseTxLocktime: HEIGHT - 1,
      // Of few kinds, so that the same work comes back under other numbers.
      merklePath: [u256(new Uint8Array(32).fill(by))],
    };
  }

  #spoilt(right: SetCustomMiningJob, what: Wrong): Partial<SetCustomMiningJob> {
    switch (what) {
      case "nothing":
        return {};
      case "tip":
        return { prevHash: tipHash(this.#tip + 1) };
      case "nbits":
        return { nbits: 0x207fffff };
      case "version":
        return { version: 1 };
      case "time":
        return { minNtime: right.minNtime + 100_000 };
      case "height":
        return { coinbasePrefix: bip34Prefix(HEIGHT + 1) };
      case "long":
        return { coinbasePrefix: Uint8Array.of(...right.coinbasePrefix, ...new Uint8Array(90)) };
      case "outputs":
        return { coinbaseTxOutputs: right.coinbaseTxOutputs.slice(0, -1) };
      case "unpaid":
        return { coinbaseTxOutputs: counted([OTHER]) };
      case "underpaid":
        return { coinbaseTxOutputs: counted([{ value: 1n, script: PAYOUT }, OTHER]) };
      case "money":
        return { coinbaseTxOutputs: counted([{ value: MAX_MONEY, script: PAYOUT }, OTHER]) };
      case "lock":
        return { coinbaseTxLocktime: HEIGHT + 5 };
      case "path":
        return { merklePath: Array(60).fill(tipHash(9)) };
      case "channel":
        return { channelId: 0xffff };
      case "token":
        return { miningJobToken: Uint8Array.of(0) };
      case "used token": {
        const [used = "00"] = this.#usedTokens;
        return { miningJobToken: Buffer.from(used, "hex") };
      }
      default:
        return what satisfies never;
    }
  }

  #judge(token: Uint8Array) {
    const name = hex(token);
    if (token[0] !== 1 || this.#usedTokens.has(name)) {
      return { kind: "refused", errorCode: "invalid-mining-job-token" } as const;
    }
    this.#usedTokens.add(name);
    return { kind: "accepted", declarationId: token.slice() } as const;
  }

  #hear(to: readonly number[], message: MiningMessage): void {
    if (message.name !== "SetCustomMiningJobSuccess" && message.name !== "SetCustomMiningJobError") return;
    const { requestId } = message;
    const at = this.#asked.findIndex((one) => to[0] === one.connection && one.message.requestId === requestId);
    const [asked] = at === -1 ? [] : this.#asked.splice(at, 1);
    rule(asked !== undefined && to.length === 1, "an answer to what nobody has asked");
    if (message.name === "SetCustomMiningJobError") return;
    rule(asked.isRight, "a custom job was taken that was wrong");
    const isOnTip = hex(asked.message.prevHash) === hex(tipHash(this.#tip));
    rule(isOnTip, "a custom job was taken on a block that is not the tip");
    const { channelId } = asked.message;
    for (const view of this.#harness.channels.get(asked.connection) ?? []) {
      if (view.channelId !== channelId && view.groupChannelId !== channelId) continue;
      const { target, prefix } = view;
      const { connection, message: job } = asked;
      this.#taken.push({ connection, view, jobId: message.jobId, message: job, tip: this.#tip, target, prefix });
    }
  }

  #share({ pick: at, twist: how, by }: Extract<Step, { do: "share" }>): readonly ServerEffect[] {
    if (how === "again" || how === "elsewhere") return this.#repeat(at, how);
    const taken = this.#taken[this.#taken.length - 1 - (at % Math.max(1, this.#taken.length))];
    if (taken === undefined) return [];
    const { connection, view, jobId, message: job } = taken;
    const extranonce = new Uint8Array(view.extranonceSize);
    const solved = solve(taken, extranonce);
    const message = {
      name: "SubmitSharesExtended",
      channelId: view.channelId,
      sequenceNumber: this.#sent.length + 1,
      jobId,
      nonce: how === "nonce" ? (solved + by) >>> 0 : solved,
      ntime: how === "time" ? job.minNtime + by * 7 : job.minNtime,
      version: job.version,
      extranonce,
    } as const;
    this.#sent.push({ connection, message });
    return this.#submit(connection, message);
  }

  #repeat(at: number, how: "again" | "elsewhere"): readonly ServerEffect[] {
    const before = this.#sent[at % Math.max(1, this.#sent.length)];
    const connection = this.#connections[at % Math.max(1, this.#connections.length)];
    if (before === undefined || connection === undefined) return [];
    return this.#submit(how === "again" ? before.connection : connection, before.message);
  }

  #submit(connection: number, message: MiningMessage): readonly ServerEffect[] {
    if (!this.#connections.includes(connection)) return [];
    return step(() => this.#harness.send(connection, message));
  }

  /** A share is credited once, on a job that its own channel has set, for as much of its work as the job pays the pool. */
  #store(share: AcceptedShare): "recorded" {
    const name = hex(share.hash);
    rule(!this.#credited.has(name), "a share was credited twice");
    this.#credited.add(name);
    const { connection, channelId, jobId } = share;
    const taken = this.#taken.find(
      (one) => one.connection === connection && one.view.channelId === channelId && one.jobId === jobId,
    );
    if (taken === undefined) {
      rule(this.#ordinary.has(connection), "a share was credited on a custom job of somebody else");
      return "recorded";
    }
    rule(meetsTarget(share.hash, targetToBytes(taken.target)), "a share was credited that does not meet its target");
    rule(taken.tip === this.#tip, "a share was credited on a tip that is gone");
    rule(
      share.work === (workOf(taken.target) * paidPart(taken.message)) / VALUE,
      "a share has another work than its job pays for",
    );
    return "recorded";
  }

  #viewAt(connection: number, at: number): ClientView | undefined {
    const views = this.#harness.channels.get(connection) ?? [];
    return views[at % Math.max(1, views.length)];
  }
}

function tipHash(block: number): ReturnType<typeof u256> {
  return u256(new Uint8Array(32).fill(0xa0 + block));
}

function counted(outputs: readonly TxOutput[]): Uint8Array {
  return Uint8Array.of(...compactSize(outputs.length), ...encodeOutputs(outputs));
}

/** What the first output pays, which is the pool's. */
function paidPart({ coinbaseTxOutputs }: SetCustomMiningJob): bigint {
  return new DataView(coinbaseTxOutputs.buffer, coinbaseTxOutputs.byteOffset).getBigUint64(1, true);
}

/** A nonce that makes a share of a custom job, as its client hashes it, if one is soon found. */
function solve({ message, prefix, target }: Taken, extranonce: Uint8Array): number {
  const parts = coinbaseAround({
    txVersion: message.coinbaseTxVersion,
    scriptSigStart: message.coinbasePrefix,
    extranonceSize: prefix.length + extranonce.length,
    inputSequence: message.coinbaseTxInputNSequence,
    countedOutputs: message.coinbaseTxOutputs,
    locktime: message.coinbaseTxLocktime,
  });
  const job: Pick<NewExtendedMiningJob, "coinbaseTxPrefix" | "coinbaseTxSuffix"> = {
    coinbaseTxPrefix: parts.prefix,
    coinbaseTxSuffix: parts.suffix,
  };
  const coinbase = coinbaseOf(job, prefix, extranonce);
  const { version, prevHash: previous, minNtime: ntime, nbits, merklePath } = message;
  const wanted = targetToBytes(target);
  let nonce = 0;
  // A target may be one that no test reaches: then the last hash is as good as any.
  for (; nonce < MOST_HASHES; nonce += 1) {
    const header = { version, prevHash: previous, ntime, nbits, nonce };
    if (meetsTarget(pureHashing.shareHash({ coinbase, merklePath, header }).hash, wanted)) break;
  }
  return nonce;
}
