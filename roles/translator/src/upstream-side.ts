import { displayHash, MAX_TARGET, meetsTarget, type ShareHashing, targetToBytes } from "@adit/bitcoin";
import { type ClientChannel, type ClientEvent, defaultClientLimits, MiningClient } from "@adit/channels";
import { type CommonMessage, type MiningMessage, u256 } from "@adit/codec";
import type { Sv1Share } from "@adit/sv1";
import type { UpstreamSetup } from "./effects.ts";
import { assumedLayout, type ExtranonceLayout, extranonceSizesToAsk, layOutExtranonce } from "./extranonce-layout.ts";
import { JobInspector } from "./job-fault.ts";
import type { Miner, MinerHost } from "./miner.ts";
import { MinerIndexes } from "./miner-indexes.ts";
import type { Outbox } from "./outbox.ts";
import { Uplink } from "./uplink.ts";
import { UpstreamTrust } from "./upstream-trust.ts";
import { UpstreamWork } from "./upstream-work.ts";
import { workerName } from "./worker-name.ts";

/** How the upstream is used. */
export interface UpstreamRules {
  /** All miners on one channel, or each on its own. */
  readonly aggregateChannels: boolean;
  readonly extranonce2Size: number;
  /** Past jobs of a channel to remember; undefined for the default. */
  readonly maxPastJobs: number | undefined;
  readonly hashing: ShareHashing;
  /** Draws from [0, 1). */
  readonly random: () => number;
}

/** What the open request says instead of a limit: any target is easy enough for us. */
const ANY_TARGET = u256(targetToBytes(MAX_TARGET));
/** Requests that wait for their answer at once. */
const MAX_OPENING = 512;
/** A miner whose channel takes longer than this is answered without it. */
const PLACING_PATIENCE_MS = 5000;

/** What is logged of an event, where it has it. */
type LoggedEvent = { readonly channel: ClientChannel } & {
  readonly [field in "errorCode" | "sequenceNumber" | "lastSequenceNumber" | "count"]?: string | number;
};

interface Connected {
  readonly setup: UpstreamSetup;
  readonly client: MiningClient;
  readonly jobs: JobInspector;
  readonly byRequest: Map<number, Uplink>;
  readonly byChannel: Map<ClientChannel, Uplink>;
  /** It has been said that its target is too easy. */
  isTooEasy: boolean;
}

/** The upstream half of the core: channels, their jobs, and the shares that go up. */
export class UpstreamSide implements MinerHost {
  readonly #rules: UpstreamRules;
  readonly #outbox: Outbox;
  readonly #uplinks = new Set<Uplink>();
  readonly #byMiner = new Map<Miner, { readonly uplink: Uplink; readonly since: number }>();
  /** Miners that wait for their extranonce. */
  readonly #waiting = new Set<Miner>();
  readonly #indexes: MinerIndexes;
  #connected: Connected | undefined;
  /** Of the present connection, or the last. */
  #trust = new UpstreamTrust();
  #lastRequestId = 0;
  /** What to tell a miner that cannot wait for its channel: what channels were like so far. */
  #usualLayout: ExtranonceLayout;

  constructor(rules: UpstreamRules, outbox: Outbox) {
    this.#rules = rules;
    this.#outbox = outbox;
    this.#indexes = new MinerIndexes(Math.floor(rules.random() * 0xffff));
    this.#usualLayout = assumedLayout(rules.extranonce2Size);
    if (rules.aggregateChannels) this.#uplinks.add(new Uplink());
  }

  /** All uplinks, for the status. */
  get uplinks(): ReadonlySet<Uplink> {
    return this.#uplinks;
  }

  /** Whether the upstream that is or was connected last is the one to dial first when the connection ends. */
  get deservesTrust(): boolean {
    return this.#trust.deserved;
  }

  join(miner: Miner): void {
    const index = this.#indexes.take();
    if (index === undefined) return miner.close("no-extranonce-left");
    miner.index = index;
    const uplink = this.#uplinkForOneMore();
    uplink.miners.add(miner);
    this.#byMiner.set(miner, { uplink, since: this.#outbox.now });
    this.#waiting.add(miner);
    this.#open(uplink);
    if (uplink.state.phase === "open") this.#settle(miner, uplink);
    else if (this.#connected === undefined) this.#placeAnyway(miner);
  }

  leave(miner: Miner): void {
    const uplink = this.#byMiner.get(miner)?.uplink;
    this.#byMiner.delete(miner);
    this.#waiting.delete(miner);
    if (miner.index !== undefined) this.#indexes.retire(miner.index);
    if (uplink === undefined) return;
    uplink.miners.delete(miner);
    if (this.#rules.aggregateChannels) return;
    this.#uplinks.delete(uplink);
    if (uplink.state.phase === "open") this.#closeChannel(uplink.state.channel, "miner-disconnected");
  }

  submit(work: UpstreamWork, share: Sv1Share): void {
    const { job, channel } = work;
    if (!meetsTarget(share.hash, job.targetBytes)) return this.#outbox.count("sharesBelowUpstreamTarget");
    if (this.#connected === undefined || !channel.open) return this.#outbox.count("sharesUnanswered");
    const worker = this.#connected.setup.namesWorkers ? workerName(share.userName) : undefined;
    this.#outbox.count("sharesSubmitted");
    this.#trust.submitted(this.#outbox.now);
    const message = work.submit(share);
    const { channelId, sequenceNumber } = message;
    this.#outbox.log("debug", "share sent upstream", { channelId, sequenceNumber, hash: displayHash(share.hash) });
    this.#outbox.emit({ type: "send-upstream", message, worker });
  }

  keepsBack(): void {
    const connected = this.#connected;
    if (connected === undefined || connected.isTooEasy) return;
    connected.isTooEasy = true;
    this.#outbox.log(
      "warn",
      "the upstream's target is too easy for the rate miners may send at; they are held harder",
      {},
    );
  }

  /** A connection is set up. */
  up(setup: UpstreamSetup): void {
    const { hashing, maxPastJobs = defaultClientLimits.maxPastJobs } = this.#rules;
    const client = new MiningClient({ hashing, limits: { ...defaultClientLimits, maxPastJobs } });
    const jobs = new JobInspector();
    this.#connected = { setup, client, jobs, byRequest: new Map(), byChannel: new Map(), isTooEasy: false };
    this.#trust = new UpstreamTrust();
    this.#openDue();
  }

  /** The connection is gone. Channels and jobs die with it: the next connection knows none of them. */
  down(reason: string): void {
    const connected = this.#connected;
    if (connected === undefined) return;
    this.#connected = undefined;
    let unanswered = 0;
    for (const uplink of this.#uplinks) {
      if (uplink.state.phase === "open") unanswered += uplink.state.channel.pendingSubmits;
      uplink.lost();
      for (const miner of uplink.miners) miner.retire();
    }
    this.#indexes.releaseRetired();
    this.#outbox.count("sharesUnanswered", "", unanswered);
    this.#outbox.log("warn", "upstream lost; miners stay connected", { reason, unansweredShares: unanswered });
    for (const miner of this.#waiting) this.#placeAnyway(miner);
  }

  /** A message came. */
  message(message: MiningMessage | CommonMessage): void {
    const connected = this.#connected;
    if (connected === undefined) return;
    for (const event of connected.client.handle(message, this.#outbox.now)) this.#onEvent(event, connected);
    if (message.name === "SetNewPrevHash") this.#retireWithoutJob();
  }

  /** A second has passed. */
  tick(): void {
    const { now } = this.#outbox;
    this.#openDue();
    this.#giveHeld();
    this.#judge();
    for (const uplink of this.#uplinks) {
      const nominalHashRate = uplink.nominalDue(now);
      if (nominalHashRate === undefined || uplink.state.phase !== "open") continue;
      uplink.told(nominalHashRate);
      const { channelId } = uplink.state.channel;
      const message = { name: "UpdateChannel", channelId, nominalHashRate, maximumTarget: ANY_TARGET } as const;
      this.#outbox.emit({ type: "send-upstream", message, worker: undefined });
    }
    for (const miner of this.#waiting) {
      const since = this.#byMiner.get(miner)?.since ?? now;
      if (now - since >= PLACING_PATIENCE_MS) this.#placeAnyway(miner);
    }
  }

  #uplinkForOneMore(): Uplink {
    if (this.#rules.aggregateChannels) for (const shared of this.#uplinks) return shared;
    const own = new Uplink();
    this.#uplinks.add(own);
    return own;
  }

  #openDue(): void {
    for (const uplink of this.#uplinks) this.#open(uplink);
  }

  /** Asks for a channel, if there is anybody to ask and anybody to ask for. */
  #open(uplink: Uplink): void {
    const connected = this.#connected;
    const { state, miners } = uplink;
    if (connected === undefined || state.phase !== "closed" || miners.size === 0) return;
    if (state.retryAt > this.#outbox.now || connected.byRequest.size >= MAX_OPENING) return;
    const sizes = extranonceSizesToAsk(this.#rules.extranonce2Size, this.#rules.aggregateChannels);
    this.#lastRequestId = (this.#lastRequestId + 1) >>> 0;
    const requestId = this.#lastRequestId;
    const nominalHashRate = uplink.nominalHashrate;
    const message = connected.client.openExtended({
      requestId,
      userIdentity: connected.setup.userIdentity,
      nominalHashRate,
      maxTarget: ANY_TARGET,
      minExtranonceSize: sizes[uplink.asked] ?? 0,
    });
    connected.byRequest.set(requestId, uplink);
    this.#trust.asked();
    uplink.opening(requestId, nominalHashRate);
    this.#outbox.emit({ type: "send-upstream", message, worker: undefined });
  }

  #onEvent(event: ClientEvent, connected: Connected): void {
    switch (event.type) {
      case "opened":
        return this.#onOpened(event, connected);
      case "open-refused":
        return this.#onRefused(event, connected);
      case "job":
        return this.#onJob(event, connected);
      case "channel-closed":
        return this.#onClosed(event, connected);
      case "shares-accepted":
        connected.byChannel.get(event.channel)?.proven();
        if (event.count > 0) this.#trust.credited();
        this.#outbox.count("sharesAcknowledged", "", event.count);
        return this.#log("debug", "shares acknowledged by the upstream", event);
      case "share-rejected":
        this.#outbox.count("sharesRejectedUpstream", event.errorCode);
        this.#trust.refused(this.#outbox.now);
        return this.#log("debug", "share rejected by the upstream", event);
      default:
        return this.#onNotice(event);
    }
  }

  /** Events that change nothing for miners now. Targets and prefixes are for later jobs, which bring them along. */
  #onNotice(
    event: Exclude<
      ClientEvent,
      { type: "opened" | "open-refused" | "job" | "channel-closed" | "shares-accepted" | "share-rejected" }
    >,
  ): void {
    switch (event.type) {
      case "target":
      case "prefix":
      case "future-job":
        return this.#log("debug", `upstream sent a ${event.type}`, event);
      case "custom-job-accepted":
      case "custom-job-refused":
        // Answers to what a translator never asks.
        return;
      case "update-refused":
        this.#outbox.count("channels", "update-refused");
        return this.#log("warn", "upstream refused an UpdateChannel", event);
      case "reconnect":
        // Whoever is dialled next is who the config names: its authority key is the only one trusted.
        return this.#outbox.emit({ type: "close-upstream", reason: "the upstream asked to reconnect" });
      case "protocol-fault":
        return this.#onFault(event);
      default:
        event satisfies never;
    }
  }

  #onFault({ code, detail }: Extract<ClientEvent, { type: "protocol-fault" }>): void {
    this.#outbox.count("upstreamFaults", code);
    this.#outbox.log("debug", "upstream broke the protocol", { code, detail });
    this.#leave(this.#trust.broke(this.#outbox.now, code));
  }

  #judge(): void {
    if (this.#connected === undefined) return;
    const wanting = this.#byMiner.size > 0;
    const working = [...this.#uplinks].some(({ state }) => state.phase === "open" && state.work !== undefined);
    this.#leave(this.#trust.tick(this.#outbox.now, { wanting, working }));
  }

  #leave(reason: string | undefined): void {
    if (reason !== undefined) this.#outbox.emit({ type: "close-upstream", reason });
  }

  #onOpened({ requestId, channel }: Extract<ClientEvent, { type: "opened" }>, connected: Connected): void {
    const uplink = connected.byRequest.get(requestId);
    connected.byRequest.delete(requestId);
    if (uplink === undefined || !this.#uplinks.has(uplink)) return this.#closeChannel(channel, "miner-disconnected");
    const layout = this.#layoutOf(channel, channel.extranoncePrefix);
    if (layout === undefined) {
      this.#closeChannel(channel, "extranonce-too-small");
      return this.#refused(uplink, "extranonce-too-small");
    }
    this.#outbox.count("channels", "opened");
    this.#log(this.#rules.aggregateChannels ? "info" : "debug", "upstream channel open", { channel });
    connected.byChannel.set(channel, uplink);
    uplink.state = { phase: "open", channel, layout, work: undefined };
    if (layout.fixedExtranonce1 === null) this.#usualLayout = layout;
    for (const miner of uplink.miners) this.#settle(miner, uplink);
  }

  #onRefused({ requestId, errorCode }: Extract<ClientEvent, { type: "open-refused" }>, connected: Connected): void {
    const uplink = connected.byRequest.get(requestId);
    connected.byRequest.delete(requestId);
    if (uplink === undefined || !this.#uplinks.has(uplink)) return;
    const sizes = extranonceSizesToAsk(this.#rules.extranonce2Size, this.#rules.aggregateChannels);
    if (errorCode === "min-extranonce-size-too-large" && uplink.asked + 1 < sizes.length) {
      uplink.asked += 1;
      uplink.state = { phase: "closed", retryAt: 0 };
      return this.#open(uplink);
    }
    this.#refused(uplink, errorCode);
  }

  #refused(uplink: Uplink, errorCode: string): void {
    this.#outbox.count("channels", "refused");
    this.#outbox.log("warn", "upstream refused a channel; it is asked again", { errorCode });
    uplink.failed(this.#outbox.now, this.#rules.random);
    for (const miner of uplink.miners) if (this.#waiting.has(miner)) this.#placeAnyway(miner);
  }

  #onJob({ channel, job, clean }: Extract<ClientEvent, { type: "job" }>, connected: Connected): void {
    const uplink = connected.byChannel.get(channel);
    if (uplink?.state.phase !== "open") return;
    const fault = connected.jobs.faultOf(job, channel);
    if (fault !== undefined) {
      this.#outbox.count("upstreamFaults", "bad-job");
      return this.#leave(this.#trust.leave(`the upstream gave a job nobody can use: ${fault}`));
    }
    const layout = this.#layoutOf(channel, job.extranoncePrefix) ?? uplink.state.layout;
    const told = { id: this.#outbox.nextJobId(), clean: clean || uplink.holdsClean, since: this.#outbox.now };
    const work = new UpstreamWork({ channel, job, layout, fixedVersion: connected.setup.fixedVersion }, told);
    uplink.state = { phase: "open", channel, layout, work };
    // Jobs of the old tip are dead for every channel of the connection, which all build on the same one.
    if (clean) this.#indexes.releaseRetired();
    if (!uplink.mayTell(told.clean)) return;
    this.#log("debug", "new work for miners", { channel });
    for (const miner of uplink.miners) if (miner.placed) miner.give(work, false);
  }

  /** Work that came faster than miners are told of it. */
  #giveHeld(): void {
    for (const uplink of this.#uplinks) {
      if (!uplink.nextSecond() || uplink.state.phase !== "open" || uplink.state.work === undefined) continue;
      for (const miner of uplink.miners) if (miner.placed) miner.give(uplink.state.work, false);
    }
  }

  #onClosed({ channel, reasonCode }: Extract<ClientEvent, { type: "channel-closed" }>, connected: Connected): void {
    const uplink = connected.byChannel.get(channel);
    connected.byChannel.delete(channel);
    if (uplink === undefined) return;
    this.#outbox.count("channels", "closed");
    this.#outbox.count("sharesUnanswered", "", channel.pendingSubmits);
    this.#outbox.log("warn", "upstream closed a channel; another is asked for", {
      channelId: channel.channelId,
      reasonCode,
    });
    uplink.failed(this.#outbox.now, this.#rules.random);
    for (const miner of uplink.miners) miner.retire();
  }

  /** A tip without a job for it: what miners have is dead, and nothing takes its place yet. */
  #retireWithoutJob(): void {
    for (const uplink of this.#uplinks) {
      const { state } = uplink;
      if (state.phase !== "open" || state.work === undefined || state.channel.activeJob !== undefined) continue;
      uplink.state = { ...state, work: undefined };
      for (const miner of uplink.miners) miner.retire();
    }
  }

  /** Gives a miner its extranonce and the work there is. */
  #settle(miner: Miner, { state }: Uplink): void {
    if (state.phase !== "open") return;
    this.#waiting.delete(miner);
    miner.place(state.layout);
    if (state.work !== undefined && miner.placed) miner.give(state.work, true);
  }

  /** Answers a miner's subscription before its channel is there; its work will come when the upstream does. */
  #placeAnyway(miner: Miner): void {
    this.#waiting.delete(miner);
    miner.place(this.#usualLayout);
  }

  #layoutOf(channel: ClientChannel, prefix: Uint8Array): ExtranonceLayout | undefined {
    const { extranonce2Size, aggregateChannels: shared } = this.#rules;
    return layOutExtranonce({ prefix, rollable: channel.extranonceSize, extranonce2Size, shared });
  }

  #closeChannel(channel: ClientChannel, reasonCode: string): void {
    const connected = this.#connected;
    if (connected === undefined) return;
    connected.byChannel.delete(channel);
    this.#outbox.count("sharesUnanswered", "", channel.pendingSubmits);
    const message = connected.client.close(channel.channelId, reasonCode);
    this.#outbox.emit({ type: "send-upstream", message, worker: undefined });
  }

  #log(
    level: "debug" | "info" | "warn",
    event: string,
    { channel: { channelId, extranonceSize }, errorCode, sequenceNumber, lastSequenceNumber, count }: LoggedEvent,
  ): void {
    const fields = { channelId, extranonceSize, errorCode, sequenceNumber, lastSequenceNumber, count };
    this.#outbox.log(level, event, fields);
  }
}
