import { isDeepStrictEqual } from "node:util";
import { MAX_TARGET, meetsTarget, sha256d, target, targetFromBits, targetToBytes, workOf } from "@adit/bitcoin";
import {
  type AcceptedShare,
  defaultChannelLimits,
  defaultVardiffOptions,
  type ServerEffect,
  type ServerInput,
  WORK_OF_DIFFICULTY_1,
} from "@adit/channels";
import {
  decodeHeader,
  dialect,
  HEADER_SIZE,
  type MiningMessage,
  type SubmitSharesExtended,
  type SubmitSharesStandard,
  u256,
} from "@adit/codec";
import fc from "fast-check";
import { sequence } from "../arbitraries.ts";
import { type ClientView, Harness, prevHash, template } from "../inside.ts";
import { miningMessage } from "../mining-messages.ts";
import { rule, step, type Target } from "../target.ts";
import { type Answer, type MiningStep, miningStep, type Twist } from "./mining-server-steps.ts";

type Submit = SubmitSharesStandard | SubmitSharesExtended;

interface Run {
  /** Whether targets follow the shares as well. */
  readonly vardiff: boolean;
  readonly steps: readonly MiningStep[];
}

/** The mining core with its clients, its template provider and its store. */
export const miningServer: Target<Run> = {
  inputs: fc.record({ vardiff: fc.boolean(), steps: sequence(miningStep, 120) }),
  run({ vardiff, steps }) {
    const play = new Play(vardiff);
    for (const one of steps) play.take(one);
    play.finish();
  },
};

const codec = dialect("mining");
/** Below this a hash that meets a target is not worth searching in a test. */
const MINABLE = MAX_TARGET >> 9n;
const BITS_OF_TARGET = 255;

interface OpenChannel {
  readonly connection: number;
  readonly view: ClientView;
}

/** Plays steps, and keeps an account of its own of what may be credited. */
class Play {
  readonly #harness: Harness;
  readonly #connections: number[] = [];
  /** Hashes of shares that are credited or wait for the store. */
  readonly #claimed = new Set<string>();
  readonly #waiting: AcceptedShare[] = [];
  readonly #sent: { readonly connection: number; readonly message: Submit }[] = [];
  #answer: Answer = "recorded";
  #lastConnection = 0;
  #lastTemplate = 0;
  #owed = 0n;
  #recorded = 0;
  #acknowledged = { count: 0, sum: 0n };

  constructor(vardiff: boolean) {
    this.#harness = new Harness({
      extranonce: { totalSize: 20, prefix: Uint8Array.of(1), indexSize: 1, start: 250 },
      shareBatchSize: 3,
      rewardOutputs: ({ coinbaseTxValueRemaining: value }) => [{ value, script: Uint8Array.of(0x51) }],
      limits: {
        ...defaultChannelLimits,
        channelsPerConnection: 8,
        pendingOpens: 8,
        futureJobs: 4,
        pastJobs: 4,
        staleJobs: 4,
        seenShares: 200,
      },
      vardiff: vardiff ? defaultVardiffOptions : null,
    });
    this.#harness.store = (share) => this.#store(share);
    this.#connect(0, true);
    this.#template({
      do: "template",
      future: true,
      version: 0x20000000,
      siblings: 2,
      content: 0,
      value: 5_000_000_000n,
    });
    this.take({ do: "tip", known: true, block: 0, bits: 0x1d00ffff });
    this.take({ do: "open", who: 0, standard: false, size: 4, hashrate: 1, shift: 0 });
  }

  take(one: MiningStep): void {
    this.#check(this.#perform(one));
    this.#checkPrefixes();
    rule(this.#harness.server.status().work === this.#owed, "the credited work is not that of the recorded shares");
  }

  /** All that was recorded is acknowledged in time, and no more than that. */
  finish(): void {
    this.take({ do: "tick", seconds: 6 });
    rule(this.#acknowledged.count <= this.#recorded, "more shares were acknowledged than recorded");
    rule(this.#acknowledged.sum <= this.#owed / WORK_OF_DIFFICULTY_1, "more work was acknowledged than recorded");
  }

  #perform(one: MiningStep): readonly ServerEffect[] {
    switch (one.do) {
      case "connect":
        return this.#connect(one.flags, one.names);
      case "disconnect":
        return this.#disconnect(one.who);
      case "open":
        return this.#open(one);
      case "say":
        return this.#say(one.who, onWire(miningMessage(one.message)));
      case "share":
        return this.#share(one);
      case "update":
      case "close":
      case "rotate":
        return this.#control(one);
      case "template":
        return this.#template(one);
      case "tip":
        return this.#tip(one);
      case "lost":
        return this.#input({ type: "template-source-lost" });
      case "store":
        this.#answer = one.answer;
        return [];
      case "settle":
        return this.#settle(one.answer);
      case "tick":
        return Array.from({ length: one.seconds }, () => step(() => this.#harness.tick(1))).flat();
      default:
        return one satisfies never;
    }
  }

  #input(input: ServerInput): readonly ServerEffect[] {
    return step(() => this.#harness.input(input));
  }

  #connect(flags: number, names: boolean): readonly ServerEffect[] {
    this.#lastConnection += 1;
    this.#connections.push(this.#lastConnection);
    this.#harness.connect(this.#lastConnection, flags, names ? [2] : []);
    return [];
  }

  #disconnect(at: number): readonly ServerEffect[] {
    const connection = this.#connectionAt(at);
    if (connection === undefined) return [];
    this.#forget(connection);
    return this.#input({ type: "disconnected", connection });
  }

  #open({
    who: at,
    standard,
    size,
    hashrate: nominalHashRate,
    shift: hardness,
  }: Extract<MiningStep, { do: "open" }>): readonly ServerEffect[] {
    const connection = this.#connectionAt(at);
    if (connection === undefined) return [];
    const maxTarget = target(MAX_TARGET >> BigInt(hardness));
    return step(() =>
      this.#harness.requestOpen(connection, standard ? "standard" : "extended", {
        nominalHashRate,
        maxTarget,
        minExtranonceSize: size,
      }),
    );
  }

  #say(at: number, message: MiningMessage): readonly ServerEffect[] {
    const connection = this.#connectionAt(at);
    if (connection === undefined) return [];
    // What the client closes it forgets, as far as its own view goes.
    if (message.name === "CloseChannel") this.#drop(connection, message.channelId);
    return step(() => this.#harness.send(connection, message, "worker"));
  }

  #share({ pick: at, back, twist, by }: Extract<MiningStep, { do: "share" }>): readonly ServerEffect[] {
    if (twist === "again" || twist === "elsewhere") return this.#repeat(at, twist);
    const chosen = this.#channelAt(at);
    if (chosen === undefined) return [];
    const worked = [...chosen.view.jobs.values()].filter(({ tip }) => tip !== undefined);
    const job = worked.at(-1 - (back % Math.max(1, worked.length)));
    if (job?.tip === undefined || job.target === undefined) return [];
    const isMinable = job.target > MINABLE;
    const ntime = job.tip.ntime + (by % 7_000);
    const mined = chosen.view.mine({ jobId: job.message.jobId, ntime, ...(isMinable ? {} : { accept: () => true }) });
    return this.#submit(chosen.connection, onWire(twisted(mined.message, twist, by)) as Submit);
  }

  #repeat(at: number, twist: "again" | "elsewhere"): readonly ServerEffect[] {
    const before = this.#sent[at % Math.max(1, this.#sent.length)];
    const other = this.#channelAt(at);
    if (before === undefined || other === undefined) return [];
    if (twist === "again") return this.#submit(before.connection, before.message);
    return this.#submit(other.connection, { ...before.message, channelId: other.view.channelId });
  }

  #submit(connection: number, message: Submit): readonly ServerEffect[] {
    this.#sent.push({ connection, message });
    return step(() => this.#harness.send(connection, message));
  }

  #control(one: Exclude<Extract<MiningStep, { pick: number }>, { do: "share" }>): readonly ServerEffect[] {
    const chosen = this.#channelAt(one.pick);
    if (chosen === undefined) return [];
    const { connection, view } = chosen;
    const { channelId } = view;
    if (one.do === "rotate") {
      const rotate = (): readonly ServerEffect[] =>
        this.#input({ type: "rotate-extranonce-prefix", connection, channelId });
      return Array.from({ length: one.times }, rotate).flat();
    }
    if (one.do === "close") return step(() => this.#harness.close(connection, view));
    const maximumTarget = u256(targetToBytes(target(MAX_TARGET >> BigInt(one.shift % (BITS_OF_TARGET + 1)))));
    const nominalHashRate = Math.fround(one.hashrate);
    return step(() =>
      this.#harness.send(connection, { name: "UpdateChannel", channelId, nominalHashRate, maximumTarget }),
    );
  }

  #template({
    future,
    version,
    siblings,
    content,
    value,
  }: Extract<MiningStep, { do: "template" }>): readonly ServerEffect[] {
    this.#lastTemplate += 1;
    const merklePath = Array.from({ length: siblings }, (_, index) => u256(new Uint8Array(32).fill(content + index)));
    const changes = { futureTemplate: future, version, merklePath, coinbaseTxValueRemaining: value };
    return this.#input({ type: "template", template: template(this.#lastTemplate, changes) });
  }

  #tip({ known, block, bits: nBits }: Extract<MiningStep, { do: "tip" }>): readonly ServerEffect[] {
    const templateId = known ? this.#lastTemplate : this.#lastTemplate + 1_000;
    // The same for a while, so that a tip that comes back brings back the very same work.
    const headerTimestamp = Math.floor(this.#harness.now / 600_000) * 600;
    const changes = { prevHash: u256(new Uint8Array(32).fill(0xa0 + block)), headerTimestamp, nBits };
    return this.#input({ type: "prev-hash", prevHash: prevHash(templateId, changes) });
  }

  #store(share: AcceptedShare): Exclude<Answer, "later"> | undefined {
    const hash = Buffer.from(share.hash).toString("hex");
    rule(!this.#claimed.has(hash), "a share was credited twice");
    this.#claimed.add(hash);
    this.#checkWork(share);
    if (this.#answer === "later") {
      this.#waiting.push(share);
      return undefined;
    }
    this.#account(share, this.#answer);
    return this.#answer;
  }

  /** A share counts for the target that its channel had when its job became work, and its hash meets that. */
  #checkWork({ connection, channelId, jobId, work, hash }: AcceptedShare): void {
    const view = this.#harness.channels.get(connection)?.find((channel) => channel.channelId === channelId);
    const told = view?.jobs.get(jobId)?.target;
    rule(told !== undefined, "a share was credited to a channel that was not given its job");
    rule(work === workOf(told), "a share's work is not that of the target its job was sent with");
    rule(meetsTarget(hash, targetToBytes(told)), "a share was credited that does not meet its target");
  }

  #account(share: AcceptedShare, answer: Exclude<Answer, "later">): void {
    if (answer === "recorded") {
      this.#owed += share.work;
      this.#recorded += 1;
    }
    if (answer === "failed") this.#claimed.delete(Buffer.from(share.hash).toString("hex"));
  }

  #settle(answer: Exclude<Answer, "later">): readonly ServerEffect[] {
    const share = this.#waiting.shift();
    if (share === undefined) return [];
    this.#account(share, answer);
    return this.#input({ type: "share-recorded", share, result: answer });
  }

  #check(effects: readonly ServerEffect[]): void {
    for (const effect of effects) {
      if (effect.type === "send") this.#checkSent(effect.to, effect.message);
      if (effect.type === "close-connection") this.#forget(effect.connection);
      if (effect.type === "submit-solution") {
        const { hash, header } = effect.block;
        rule(isDeepStrictEqual(sha256d(header), hash), "a block's hash is not that of its header");
        const nbits = new DataView(header.buffer, header.byteOffset).getUint32(72, true);
        rule(meetsTarget(hash, targetToBytes(targetFromBits(nbits))), "a block was submitted that is none");
      }
    }
  }

  #checkSent(to: readonly number[], message: MiningMessage): void {
    rule(isDeepStrictEqual(onWire(message), message), `${message.name} arrives as something else`);
    if (message.name === "SubmitSharesSuccess") {
      this.#acknowledged.count += message.newSubmitsAcceptedCount;
      this.#acknowledged.sum += message.newSharesSum;
    }
    if (message.name === "CloseChannel") for (const connection of to) this.#drop(connection, message.channelId);
  }

  /** No two channels may ever search the same space. */
  #checkPrefixes(): void {
    const { connections } = this.#harness.server.status();
    const prefixes = connections.flatMap(({ channels }) =>
      channels.map(({ extranoncePrefix }) => Buffer.from(extranoncePrefix.subarray(0, 2)).toString("hex")),
    );
    rule(new Set(prefixes).size === prefixes.length, "two channels have the same extranonce prefix");
  }

  #drop(connection: number, channelId: number): void {
    const views = this.#harness.channels.get(connection);
    const isGroup = views?.every((view) => view.channelId !== channelId) ?? false;
    this.#harness.channels.set(
      connection,
      views?.filter((view) => view.channelId !== channelId && !(isGroup && view.groupChannelId === channelId)) ?? [],
    );
  }

  #forget(connection: number): void {
    const at = this.#connections.indexOf(connection);
    if (at >= 0) this.#connections.splice(at, 1);
    this.#harness.channels.delete(connection);
  }

  #connectionAt(at: number): number | undefined {
    return this.#connections[at % Math.max(1, this.#connections.length)];
  }

  #channelAt(at: number): OpenChannel | undefined {
    const all = this.#connections.flatMap((connection) =>
      (this.#harness.channels.get(connection) ?? []).map((view) => ({ connection, view })),
    );
    return all[at % Math.max(1, all.length)];
  }
}

/** The message as it comes out of the other end of the wire. */
function onWire(message: MiningMessage): MiningMessage {
  const frame = codec.encode(message);
  const decoded = codec.decode({ ...decodeHeader(frame), payload: frame.subarray(HEADER_SIZE) });
  rule(decoded.kind === "message", `${message.name} does not decode`);
  return decoded.message as MiningMessage;
}

function twisted(message: Submit, twist: Exclude<Twist, "again" | "elsewhere">, by: number): Submit {
  switch (twist) {
    case "none":
      return message;
    case "nonce":
      return { ...message, nonce: (message.nonce + by) >>> 0 };
    case "ntime":
      return { ...message, ntime: (message.ntime + by * 7 - 8_000) >>> 0 };
    case "version":
      return { ...message, version: (message.version ^ (1 << (by % 32))) >>> 0 };
    case "extranonce":
      return message.name === "SubmitSharesExtended" ? { ...message, extranonce: new Uint8Array(by % 33) } : message;
    case "job":
      return { ...message, jobId: by };
    default:
      return twist satisfies never;
  }
}
