import { pureHashing, type TxOutput, targetToBytes } from "@adit/bitcoin";
import {
  type ClientChannel,
  type ClientJob,
  defaultChannelLimits,
  MiningClient,
  MiningServer,
  type ServerEffect,
  type ServerInput,
} from "@adit/channels";
import { type MiningMessage, REQUIRES_STANDARD_JOBS, REQUIRES_WORK_SELECTION, u256 } from "@adit/codec";
import { hex } from "../codec-peer.ts";
import type { Answer, Command, OpenCommand, Settings, ShareAnswer, TemplateAnswer, Totals } from "./commands.ts";
import { CustomWork, CustomWorks, PAYOUT } from "./custom-work.ts";
import { miningMessage, payloadOf, templateMessage } from "./payload.ts";

/** When a run begins, in Unix milliseconds: the clock of our side moves on with templates and updates only. */
export const START = 1_800_000_000_000;

const GROUPED = 1;
const ALONE = 2;
const DECLARING = 3;
/** Updates of one channel are taken once a second. */
const UPDATE_MS = 1_100;
/** No template provider sends templates much faster. */
const TEMPLATE_MS = 1_000;
/** Bytes of our extranonce prefixes: server id and index. */
const PREFIX_SIZE = 4;
const SERVER_ID = 0xad;

interface Member {
  readonly connection: number;
  readonly channelId: number;
  readonly counts: { accepted: number; difficulty: number; blocks: number; readonly rejected: Record<string, number> };
}

/**
 * Our MiningServer and its clients behind the commands that channels-peer takes. What is bounded here by a rate or a
 * count that the crates do not have is out of the way.
 */
export class OurChannels {
  readonly settings: Settings;
  now: number = START;
  readonly #server: MiningServer;
  readonly #clients = new Map([
    [GROUPED, new MiningClient()],
    [ALONE, new MiningClient()],
    [DECLARING, new MiningClient()],
  ]);
  readonly #members = new Map<number, Member>();
  readonly #outputs = new Map<bigint, readonly TxOutput[]>();
  readonly #jobIds = new Map<number, number>();
  readonly #customWorks = new CustomWorks();
  #prefixes = 0;
  #requestId = 0;

  constructor(settings: Settings) {
    this.settings = settings;
    this.#server = new MiningServer({
      hashing: pureHashing,
      extranonce: {
        totalSize: settings.full_extranonce_size,
        prefix: Uint8Array.of(SERVER_ID),
        indexSize: PREFIX_SIZE - 1,
        start: 0,
      },
      rewardOutputs: ({ templateId }) => this.#outputs.get(templateId) ?? [],
      coinbaseTag: `Sv2/${settings.pool_tag}//`,
      sharesPerMinute: settings.shares_per_minute,
      shareBatchSize: settings.share_batch_size,
      ackIntervalMs: 5_000,
      minHashrate: 1e-6,
      vardiff: null,
      versionRollingAllowed: settings.version_rolling_allowed,
      limits: {
        ...defaultChannelLimits,
        pastJobs: settings.max_past_jobs,
        pastCustomJobs: settings.max_past_jobs,
        customJobBurst: 1e9,
        shareBurst: 1e9,
        ladderMinShares: 1e9,
        floodRejects: 1e9,
      },
      customJobs: {
        payoutScript: PAYOUT,
        minPayoutPercent: 0,
        judge: ({ message }) => ({ kind: "accepted", declarationId: message.miningJobToken.slice() }),
      },
    });
    this.#input({ type: "connected", connection: GROUPED, flags: 0, extensions: new Set() });
    this.#input({ type: "connected", connection: ALONE, flags: REQUIRES_STANDARD_JOBS, extensions: new Set() });
    this.#input({ type: "connected", connection: DECLARING, flags: REQUIRES_WORK_SELECTION, extensions: new Set() });
  }

  /** The prefix that the next channel, or the next rotation, gets. */
  nextPrefix(extended: boolean): string {
    const size = extended ? PREFIX_SIZE : this.settings.full_extranonce_size;
    const prefix = Buffer.alloc(size);
    prefix.writeUInt32BE(SERVER_ID * 2 ** 24 + this.#prefixes);
    return prefix.toString("hex");
  }

  /** A channel as its client sees it. */
  channel(name: number): ClientChannel {
    const { connection, channelId } = this.#member(name);
    const channel = this.#clients.get(connection)?.channel(channelId);
    if (channel === undefined) throw new Error(`channel ${name} is not open`);
    return channel;
  }

  /** The job that a channel was given for a template, if it still knows it, or its custom job of this name. */
  job(name: number, template: number): ClientJob | undefined {
    const custom = this.#customWorks.find(template, name);
    if (custom !== undefined) return custom;
    const jobId = this.#jobIds.get(template);
    return jobId === undefined ? undefined : this.channel(name).job(jobId);
  }

  /** What our side answers. Throws when a command foretells a prefix or a target that our side does not give. */
  answer(command: Command): Answer {
    switch (command.do) {
      case "open":
        return this.#open(command);
      case "template":
        return this.#template(command);
      case "prev_hash":
        this.#customWorks.tipChanged();
        this.#input({ type: "prev-hash", prevHash: templateMessage("SetNewPrevHash", command.payload) });
        return {};
      case "custom":
        return this.#custom(command);
      case "share":
        return this.#share(command);
      case "update":
        return this.#update(command);
      case "prefix":
        return this.#rotate(command);
      case "totals":
        return this.#totals(command.channel);
      default:
        return command satisfies never;
    }
  }

  #open(command: OpenCommand): Answer {
    const connection = command.custom ? DECLARING : command.grouped ? GROUPED : ALONE;
    const client = this.#clients.get(connection) as MiningClient;
    this.#requestId += 1;
    const request = {
      requestId: this.#requestId,
      userIdentity: command.user_identity,
      nominalHashRate: command.nominal_hash_rate,
      maxTarget: u256(Buffer.from(command.max_target, "hex")),
    };
    const message = command.extended
      ? client.openExtended({ ...request, minExtranonceSize: command.rollable_extranonce_size })
      : client.openStandard(request);
    const effects = this.#input({ type: "message", connection, message, worker: undefined });
    const refusal = sent(effects, "OpenMiningChannelError")[0];
    if (refusal !== undefined) return { error: refusal.errorCode };
    const name = command.extended ? "OpenExtendedMiningChannelSuccess" : "OpenStandardMiningChannelSuccess";
    const [success] = sent(effects, name);
    if (success === undefined) throw new Error("the channel was neither opened nor refused");
    const counts = { accepted: 0, difficulty: 0, blocks: 0, rejected: {} };
    this.#members.set(command.channel, { connection, channelId: success.channelId, counts });
    this.#prefixes += 1;
    expectSame("extranonce_prefix", hex(success.extranoncePrefix), command.extranonce_prefix);
    if (command.target !== undefined) expectSame("target", hex(success.target), command.target);
    return { target: hex(success.target) };
  }

  #template({ payload, outputs }: Extract<Command, { do: "template" }>): TemplateAnswer | { readonly error: string } {
    const template = templateMessage("NewTemplate", payload);
    this.now += TEMPLATE_MS;
    const rewards = outputs.map(({ value, script }) => ({ value: BigInt(value), script: Buffer.from(script, "hex") }));
    this.#outputs.set(template.templateId, rewards);
    const effects = this.#input({ type: "template", template });
    const jobs = sent(effects, "NewExtendedMiningJob", "NewMiningJob");
    const group = jobs.find((job) => job.name === "NewExtendedMiningJob");
    const refusal = effects.find((effect) => effect.type === "log" && effect.event === "template-refused");
    if (refusal?.type === "log") return { error: String(refusal.fields["reason"]) };
    if (group === undefined) return { group: null, channels: {} };
    const name = Number(template.templateId);
    this.#jobIds.set(name, group.jobId);
    const channels = [...this.#members].map(([channel, { connection, channelId }]) => {
      const own = jobs.find((job) => job.name === "NewMiningJob" && job.channelId === channelId);
      if (connection === ALONE) return [channel, own === undefined ? null : payloadOf("mining", own)];
      const root = this.job(channel, name)?.merkleRoot;
      return [channel, root === undefined ? null : hex(root)];
    });
    return { group: payloadOf("mining", group), channels: Object.fromEntries(channels) };
  }

  #custom({ channel: name, template, payload }: Extract<Command, { do: "custom" }>): Answer {
    const { connection } = this.#member(name);
    const channel = this.channel(name);
    this.#requestId += 1;
    const job = { ...miningMessage("SetCustomMiningJob", payload), requestId: this.#requestId };
    const message = (this.#clients.get(connection) as MiningClient).setCustomMiningJob(channel, job);
    const effects = [...this.#input({ type: "message", connection, message, worker: undefined })];
    if (sent(effects, "SetCustomMiningJobError", "SetCustomMiningJobSuccess").length === 0) {
      // It builds on a block that is not the tip, and may yet become it.
      this.now += defaultChannelLimits.customTipWaitMs;
      effects.push(...this.#input({ type: "tick" }));
    }
    const [refusal] = sent(effects, "SetCustomMiningJobError");
    if (refusal !== undefined) return { error: refusal.errorCode };
    const [success] = sent(effects, "SetCustomMiningJobSuccess");
    if (success === undefined) throw new Error("the custom job was neither taken nor refused");
    this.#jobIds.set(template, success.jobId);
    this.#customWorks.add(template, name, new CustomWork(message, success.jobId, channel));
    return {};
  }

  #share({ channel, template, payload }: Extract<Command, { do: "share" }>): ShareAnswer {
    const { connection, channelId, counts } = this.#member(channel);
    const kind = this.channel(channel).kind === "extended" ? "SubmitSharesExtended" : "SubmitSharesStandard";
    const share = miningMessage(kind, payload);
    const message = { ...share, channelId, jobId: this.#jobIds.get(template) ?? 0xffffffff };
    const effects = this.#input({ type: "message", connection, message, worker: undefined });
    const answer: { -readonly [Key in keyof ShareAnswer]: ShareAnswer[Key] } = {};
    for (const effect of effects) {
      if (effect.type === "submit-solution") {
        counts.blocks += 1;
        const { templateId, coinbaseTx } = effect.solution;
        answer.block = { template: Number(templateId), coinbase: hex(coinbaseTx) };
      }
      if (effect.type === "custom-block") {
        counts.blocks += 1;
        answer.block = { template: null, coinbase: hex(effect.block.coinbase) };
      }
      if (effect.type === "record-share") {
        counts.accepted += 1;
        counts.difficulty += effect.share.difficulty;
        answer.valid = hex(effect.share.hash);
      }
      if (effect.type === "reject-share") {
        counts.rejected[effect.errorCode] = (counts.rejected[effect.errorCode] ?? 0) + 1;
        answer.refused = effect.errorCode;
      }
    }
    return answer;
  }

  #update({ channel, nominal_hash_rate, target: foretold }: Extract<Command, { do: "update" }>): Answer {
    const { connection, channelId } = this.#member(channel);
    this.now += UPDATE_MS;
    const message = {
      name: "UpdateChannel",
      channelId,
      nominalHashRate: nominal_hash_rate,
      maximumTarget: u256(new Uint8Array(32).fill(0xff)),
    } as const;
    const effects = this.#input({ type: "message", connection, message, worker: undefined });
    const refusal = sent(effects, "UpdateChannelError")[0];
    if (refusal !== undefined) return { error: refusal.errorCode };
    const own = hex(targetToBytes(this.channel(channel).target));
    expectSame("target", own, foretold);
    return { target: own };
  }

  #rotate({ channel, extranonce_prefix: foretold }: Extract<Command, { do: "prefix" }>): Answer {
    const { connection, channelId } = this.#member(channel);
    const effects = this.#input({ type: "rotate-extranonce-prefix", connection, channelId });
    this.#prefixes += 1;
    expectSame(
      "extranonce_prefix",
      hex(sent(effects, "SetExtranoncePrefix")[0]?.extranoncePrefix ?? new Uint8Array(0)),
      foretold,
    );
    return {};
  }

  #totals(channel: number): Totals {
    const { accepted, difficulty, blocks, rejected } = this.#member(channel).counts;
    return { accepted, difficulty_sum: difficulty, blocks, rejected };
  }

  #member(name: number): Member {
    const member = this.#members.get(name);
    if (member === undefined) throw new Error(`there is no channel ${name}`);
    return member;
  }

  /** Hands messages to the clients, and records shares as a store does that never fails. */
  #input(input: ServerInput): readonly ServerEffect[] {
    const effects = this.#server.handle(input, this.now);
    for (const effect of effects) {
      if (effect.type === "close-connection") throw new Error(`our server hangs up: ${effect.reason}`);
      if (effect.type !== "send") continue;
      for (const connection of effect.to) this.#clients.get(connection)?.handle(effect.message, this.now);
    }
    const recorded = effects.flatMap((effect) =>
      effect.type === "record-share"
        ? this.#input({ type: "share-recorded", share: effect.share, result: "recorded" })
        : [],
    );
    return [...effects, ...recorded];
  }
}

/** The messages of these names among effects. */
function sent<Name extends MiningMessage["name"]>(
  effects: readonly ServerEffect[],
  ...names: readonly Name[]
): readonly Extract<MiningMessage, { name: Name }>[] {
  const isNamed = (message: MiningMessage): message is Extract<MiningMessage, { name: Name }> =>
    (names as readonly string[]).includes(message.name);
  return effects.flatMap((effect) => (effect.type === "send" && isNamed(effect.message) ? [effect.message] : []));
}

function expectSame(what: string, own: string, foretold: string): void {
  if (own !== foretold) throw new Error(`${what} is ${own} here, not ${foretold}`);
}
