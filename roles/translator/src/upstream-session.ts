import { displayHash, MAX_TARGET, type ShareHashing, targetToBytes } from "@adit/bitcoin";
import { type ClientChannel, type ClientEvent, defaultClientLimits, MiningClient } from "@adit/channels";
import { type CommonMessage, type MiningMessage, u256 } from "@adit/codec";
import type { ReconnectTarget } from "@adit/role-network";
import type { Sv1Share } from "@adit/sv1";
import type { SessionId, UpstreamSetup } from "./effects.ts";
import { type ExtranonceLayout, extranonceSizesToAsk, layOutExtranonce } from "./extranonce-layout.ts";
import type { Failure } from "./failure.ts";
import { JobInspector } from "./job-fault.ts";
import type { Outbox } from "./outbox.ts";
import type { Uplink } from "./uplink.ts";
import { UpstreamLink } from "./upstream-link.ts";
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

/** Who a session tells what came of a message. */
export interface SessionHost {
  /** A channel is open and has its layout. */
  opened(link: UpstreamLink): void;
  /** A channel was refused; it is asked for again later. */
  refused(link: UpstreamLink): void;
  /** There is a job to mine. `tipChanged`: it is the first on its tip, so that all before it are dead. */
  worked(link: UpstreamLink, work: UpstreamWork, tipChanged: boolean): void;
  /** What a link's miners have is dead, and nothing takes its place yet. */
  stopped(link: UpstreamLink): void;
  /** The session is of no use any more. */
  failed(session: UpstreamSession, failure: Failure): void;
  /** The upstream asks to be reached elsewhere. */
  asked(session: UpstreamSession, to: ReconnectTarget): void;
  /** The upstream credited work. */
  credited(session: UpstreamSession): void;
}

/** What a session is made with. */
export interface SessionOptions {
  readonly id: SessionId;
  /** Place of its route. */
  readonly route: number;
  /** Where the upstream asked to be reached, if it did. */
  readonly to: ReconnectTarget | undefined;
  readonly rules: UpstreamRules;
  readonly outbox: Outbox;
  readonly host: SessionHost;
  readonly nextRequestId: () => number;
}

interface Connected {
  readonly setup: UpstreamSetup;
  readonly client: MiningClient;
  readonly jobs: JobInspector;
}

/** What is logged of an event, where it has it. */
type LoggedEvent = { readonly channel: ClientChannel } & {
  readonly [field in "errorCode" | "sequenceNumber" | "lastSequenceNumber" | "count"]?: string | number;
};

/** What the open request says instead of a limit: any target is easy enough for us. */
const ANY_TARGET = u256(targetToBytes(MAX_TARGET));
/** Requests that wait for their answer at once. */
const MAX_OPENING = 512;

/** One connection to an upstream: its channels, their jobs, and the shares that go up. It is never used again. */
export class UpstreamSession {
  readonly #options: SessionOptions;
  readonly #links = new Map<Uplink, UpstreamLink>();
  readonly #byRequest = new Map<number, UpstreamLink>();
  readonly #byChannel = new Map<ClientChannel, UpstreamLink>();
  readonly #trust = new UpstreamTrust();
  #connected: Connected | undefined;
  #isOver = false;
  #isTooEasy = false;

  /** Waits for its connection. */
  constructor(options: SessionOptions) {
    this.#options = options;
  }

  get id(): SessionId {
    return this.#options.id;
  }

  /** Place of its route. */
  get route(): number {
    return this.#options.route;
  }

  /** Where the upstream asked to be reached, if it did. */
  get to(): ReconnectTarget | undefined {
    return this.#options.to;
  }

  /** Whether its connection is set up, and has not ended. */
  get isUp(): boolean {
    return this.#connected !== undefined && !this.#isOver;
  }

  /** Whether it credited work, or was sent none. */
  get delivered(): boolean {
    return this.#trust.delivered;
  }

  /** Shares without an answer. */
  get pendingSubmits(): number {
    let pending = 0;
    for (const channel of this.#byChannel.keys()) pending += channel.pendingSubmits;
    return pending;
  }

  /** Whether miners can be given work of it. */
  get hasWork(): boolean {
    for (const { work } of this.#links.values()) if (work !== undefined) return true;
    return false;
  }

  /** The channel of an uplink, or the wish for one, if there is any. */
  linkOf(uplink: Uplink): UpstreamLink | undefined {
    return this.#links.get(uplink);
  }

  /** Its connection is set up. */
  up(setup: UpstreamSetup): void {
    const { hashing, maxPastJobs = defaultClientLimits.maxPastJobs } = this.#options.rules;
    const client = new MiningClient({ hashing, limits: { ...defaultClientLimits, maxPastJobs } });
    this.#connected = { setup, client, jobs: new JobInspector() };
  }

  /** A message came. */
  message(message: MiningMessage | CommonMessage): void {
    const connected = this.#connected;
    if (connected === undefined || this.#isOver) return;
    for (const event of connected.client.handle(message, this.#options.outbox.now)) {
      if (!this.#isOver) this.#onEvent(event, connected);
    }
    if (message.name === "SetNewPrevHash") this.#stopWithoutJob();
  }

  /** Asks for a channel for an uplink's miners, if there is none and one may be asked for. */
  open(uplink: Uplink): void {
    const connected = this.#connected;
    if (connected === undefined || this.#isOver || uplink.miners.size === 0) return;
    const link = this.#linkFor(uplink);
    const { rules, outbox, nextRequestId } = this.#options;
    if (link.state.phase !== "closed" || link.state.retryAt > outbox.now || this.#byRequest.size >= MAX_OPENING) return;
    const sizes = extranonceSizesToAsk(rules.extranonce2Size, rules.aggregateChannels);
    const requestId = nextRequestId();
    const nominalHashRate = uplink.nominalHashrate;
    const message = connected.client.openExtended({
      requestId,
      userIdentity: connected.setup.userIdentity,
      nominalHashRate,
      maxTarget: ANY_TARGET,
      minExtranonceSize: sizes[link.asked] ?? 0,
    });
    this.#byRequest.set(requestId, link);
    link.opening(requestId, nominalHashRate);
    this.#send(message);
  }

  /** An uplink has no miners left and will have none again. */
  forget(uplink: Uplink): void {
    const link = this.#links.get(uplink);
    this.#links.delete(uplink);
    if (link?.channel !== undefined) this.#closeChannel(link.channel, "miner-disconnected");
  }

  /** Sends a share of one of its jobs, which meets the job's target. */
  submit(work: UpstreamWork, share: Sv1Share): void {
    const { outbox } = this.#options;
    if (this.#connected === undefined || this.#isOver || !work.channel.open) return outbox.count("sharesUnanswered");
    const worker = this.#connected.setup.namesWorkers ? workerName(share.userName) : undefined;
    outbox.count("sharesSubmitted");
    this.#trust.submitted(outbox.now);
    const message = work.submit(share);
    const { channelId, sequenceNumber } = message;
    outbox.log("debug", "share sent upstream", { channelId, sequenceNumber, hash: displayHash(share.hash) });
    this.#send(message, worker);
  }

  /** Its target is so easy that shares are kept back. */
  keepsBack(): void {
    if (this.#isTooEasy) return;
    this.#isTooEasy = true;
    const event = "the upstream's target is too easy for the rate miners may send at; they are held harder";
    this.#options.outbox.log("warn", event, {});
  }

  /** A second has passed. `wanting`: there are miners. `inUse`: they mine here. */
  tick({ wanting, inUse }: { readonly wanting: boolean; readonly inUse: boolean }): void {
    if (!this.isUp) return;
    const { outbox, host } = this.#options;
    const failure = this.#trust.tick(outbox.now, { wanting, working: this.hasWork });
    if (failure !== undefined) return host.failed(this, failure);
    if (!inUse) return;
    for (const link of this.#links.values()) {
      const nominalHashRate = link.nominalDue(outbox.now);
      if (nominalHashRate === undefined || link.channel === undefined) continue;
      link.told(nominalHashRate);
      const { channelId } = link.channel;
      this.#send({ name: "UpdateChannel", channelId, nominalHashRate, maximumTarget: ANY_TARGET });
    }
  }

  /** Closes its channels: there will be no miners any more. */
  closeAll(): void {
    for (const channel of this.#byChannel.keys()) this.#closeChannel(channel, "shutting-down");
  }

  /** It is over. Channels and jobs die with it. Returns how many shares it leaves unanswered. */
  end(): number {
    const unanswered = this.pendingSubmits;
    this.#options.outbox.count("sharesUnanswered", "", unanswered);
    this.#isOver = true;
    this.#links.clear();
    this.#byRequest.clear();
    this.#byChannel.clear();
    return unanswered;
  }

  #linkFor(uplink: Uplink): UpstreamLink {
    let link = this.#links.get(uplink);
    if (link === undefined) {
      link = new UpstreamLink(uplink, this);
      this.#links.set(uplink, link);
    }
    return link;
  }

  #onEvent(event: ClientEvent, connected: Connected): void {
    const { outbox, host } = this.#options;
    switch (event.type) {
      case "opened":
        return this.#onOpened(event);
      case "open-refused":
        return this.#onRefused(event);
      case "job":
        return this.#onJob(event, connected);
      case "channel-closed":
        return this.#onClosed(event);
      case "shares-accepted":
        this.#byChannel.get(event.channel)?.proven();
        if (event.count > 0) {
          this.#trust.credited();
          host.credited(this);
        }
        outbox.count("sharesAcknowledged", "", event.count);
        return this.#log("debug", "shares acknowledged by the upstream", event);
      case "share-rejected":
        outbox.count("sharesRejectedUpstream", event.errorCode);
        this.#trust.refused(outbox.now);
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
    const { outbox, host } = this.#options;
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
        outbox.count("channels", "update-refused");
        return this.#log("warn", "upstream refused an UpdateChannel", event);
      case "reconnect":
        return host.asked(this, { newHost: event.host, newPort: event.port });
      case "protocol-fault":
        return this.#onFault(event);
      default:
        event satisfies never;
    }
  }

  #onFault({ code, detail }: Extract<ClientEvent, { type: "protocol-fault" }>): void {
    const { outbox, host } = this.#options;
    outbox.count("upstreamFaults", code);
    outbox.log("debug", "upstream broke the protocol", { code, detail });
    const failure = this.#trust.broke(outbox.now, code);
    if (failure !== undefined) host.failed(this, failure);
  }

  #onOpened({ requestId, channel }: Extract<ClientEvent, { type: "opened" }>): void {
    const { outbox, host, rules } = this.#options;
    const link = this.#byRequest.get(requestId);
    this.#byRequest.delete(requestId);
    if (link === undefined || this.#links.get(link.uplink) !== link) {
      return this.#closeChannel(channel, "miner-disconnected");
    }
    const layout = this.#layoutOf(channel, channel.extranoncePrefix);
    if (layout === undefined) {
      this.#closeChannel(channel, "extranonce-too-small");
      return this.#refused(link, "extranonce-too-small");
    }
    outbox.count("channels", "opened");
    this.#log(rules.aggregateChannels ? "info" : "debug", "upstream channel open", { channel });
    this.#byChannel.set(channel, link);
    link.state = { phase: "open", channel, layout, work: undefined };
    host.opened(link);
  }

  #onRefused({ requestId, errorCode }: Extract<ClientEvent, { type: "open-refused" }>): void {
    const link = this.#byRequest.get(requestId);
    this.#byRequest.delete(requestId);
    if (link === undefined || this.#links.get(link.uplink) !== link) return;
    const { extranonce2Size, aggregateChannels } = this.#options.rules;
    const sizes = extranonceSizesToAsk(extranonce2Size, aggregateChannels);
    if (errorCode === "min-extranonce-size-too-large" && link.asked + 1 < sizes.length) {
      link.asked += 1;
      link.state = { phase: "closed", retryAt: 0 };
      return this.open(link.uplink);
    }
    this.#refused(link, errorCode);
  }

  #refused(link: UpstreamLink, errorCode: string): void {
    const { outbox, host, rules } = this.#options;
    outbox.count("channels", "refused");
    outbox.log("warn", "upstream refused a channel; it is asked again", { errorCode });
    link.failed(outbox.now, rules.random);
    host.refused(link);
  }

  #onJob({ channel, job, clean }: Extract<ClientEvent, { type: "job" }>, connected: Connected): void {
    const { outbox, host } = this.#options;
    const link = this.#byChannel.get(channel);
    if (link?.state.phase !== "open") return;
    const fault = connected.jobs.faultOf(job, channel);
    if (fault !== undefined) {
      outbox.count("upstreamFaults", "bad-job");
      const detail = `the upstream gave a job nobody can use: ${fault}`;
      return host.failed(this, { code: "bad-job", detail });
    }
    const layout = this.#layoutOf(channel, job.extranoncePrefix) ?? link.state.layout;
    // Miners that come from another channel drop what they work on.
    const isClean = clean || link.uplink.holdsClean || link.uplink.active !== link;
    const told = { id: outbox.nextJobId(), clean: isClean, since: outbox.now };
    const { fixedVersion } = connected.setup;
    const work = new UpstreamWork({ link, channel, job, layout, fixedVersion }, told);
    link.state = { phase: "open", channel, layout, work };
    this.#log("debug", "new work for miners", { channel });
    host.worked(link, work, clean);
  }

  #onClosed({ channel, reasonCode }: Extract<ClientEvent, { type: "channel-closed" }>): void {
    const { outbox, host, rules } = this.#options;
    const link = this.#byChannel.get(channel);
    this.#byChannel.delete(channel);
    if (link === undefined) return;
    outbox.count("channels", "closed");
    outbox.count("sharesUnanswered", "", channel.pendingSubmits);
    const { channelId } = channel;
    outbox.log("warn", "upstream closed a channel; another is asked for", { channelId, reasonCode });
    link.failed(outbox.now, rules.random);
    host.stopped(link);
  }

  /** A tip without a job for it: what miners have is dead, and nothing takes its place yet. */
  #stopWithoutJob(): void {
    for (const link of this.#links.values()) {
      const { state } = link;
      if (state.phase !== "open" || state.work === undefined || state.channel.activeJob !== undefined) continue;
      link.state = { ...state, work: undefined };
      this.#options.host.stopped(link);
    }
  }

  #layoutOf(channel: ClientChannel, prefix: Uint8Array): ExtranonceLayout | undefined {
    const { extranonce2Size, aggregateChannels: shared } = this.#options.rules;
    return layOutExtranonce({ prefix, rollable: channel.extranonceSize, extranonce2Size, shared });
  }

  #closeChannel(channel: ClientChannel, reasonCode: string): void {
    const connected = this.#connected;
    if (connected === undefined) return;
    this.#byChannel.delete(channel);
    this.#options.outbox.count("sharesUnanswered", "", channel.pendingSubmits);
    this.#send(connected.client.close(channel.channelId, reasonCode));
  }

  #send(message: MiningMessage, worker?: string): void {
    this.#options.outbox.emit({ type: "send-upstream", session: this.id, message, worker });
  }

  #log(
    level: "debug" | "info" | "warn",
    event: string,
    { channel: { channelId, extranonceSize }, errorCode, sequenceNumber, lastSequenceNumber, count }: LoggedEvent,
  ): void {
    const fields = { channelId, extranonceSize, errorCode, sequenceNumber, lastSequenceNumber, count };
    this.#options.outbox.log(level, event, fields);
  }
}
