import { displayHash } from "@adit/bitcoin";
import { type ClientEvent, defaultClientLimits, MiningClient } from "@adit/channels";
import type { CommonMessage, MiningMessage } from "@adit/codec";
import type { Sv1Share } from "@adit/sv1";
import type { SessionId, UpstreamSetup } from "./effects.ts";
import { JobInspector } from "./job-fault.ts";
import { SessionChannels } from "./session-channels.ts";
import type { SessionOptions } from "./session-host.ts";
import { eventFields } from "./session-log.ts";
import type { Uplink } from "./uplink.ts";
import type { UpstreamLink } from "./upstream-link.ts";
import type { UpstreamRoute } from "./upstream-plan.ts";
import { UpstreamTrust } from "./upstream-trust.ts";
import { UpstreamWork } from "./upstream-work.ts";
import { workerName } from "./worker-name.ts";

interface Connected {
  readonly setup: UpstreamSetup;
  readonly client: MiningClient;
  readonly channels: SessionChannels;
  readonly jobs: JobInspector;
}

/** Events that change nothing for miners now. */
type Notice = Exclude<
  ClientEvent,
  { type: "opened" | "open-refused" | "job" | "channel-closed" | "shares-accepted" | "share-rejected" }
>;

/** One connection to an upstream: what it says, its jobs, and the shares that go up. It is never used again. */
export class UpstreamSession {
  readonly #options: SessionOptions;
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

  /** The way that it takes, or that the one took which it follows. */
  get route(): UpstreamRoute {
    return this.#options.route;
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
    return this.#connected?.channels.pendingSubmits ?? 0;
  }

  /** Whether miners can be given work of it. */
  get hasWork(): boolean {
    return this.#connected?.channels.hasWork ?? false;
  }

  /** The channel of an uplink, or the wish for one, if there is any. */
  linkOf(uplink: Uplink): UpstreamLink | undefined {
    return this.#connected?.channels.linkOf(uplink);
  }

  /** Its connection is set up. */
  up(setup: UpstreamSetup): void {
    const { id, rules, outbox, host, nextRequestId } = this.#options;
    const { hashing, maxPastJobs = defaultClientLimits.maxPastJobs } = rules;
    const client = new MiningClient({ hashing, limits: { ...defaultClientLimits, maxPastJobs } });
    const { userIdentity } = setup;
    const send = (message: MiningMessage): void => this.#send(message);
    const from = { session: id, client, userIdentity };
    const channels = new SessionChannels({ ...from, rules, outbox, host, nextRequestId, send });
    this.#connected = { setup, client, channels, jobs: new JobInspector() };
  }

  /** A message came. */
  message(message: MiningMessage | CommonMessage): void {
    const connected = this.#connected;
    if (connected === undefined || this.#isOver) return;
    for (const event of connected.client.handle(message, this.#options.outbox.now)) {
      if (!this.#isOver) this.#onEvent(event, connected);
    }
    if (message.name === "SetNewPrevHash") connected.channels.stopWithoutJob();
  }

  /** Asks for a channel for an uplink's miners, if there is none and one may be asked for. */
  open(uplink: Uplink): void {
    if (!this.#isOver) this.#connected?.channels.open(uplink);
  }

  /** An uplink has no miners left and will have none again. */
  forget(uplink: Uplink): void {
    this.#connected?.channels.forget(uplink);
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
    if (failure !== undefined) return host.failed(this.id, failure);
    if (inUse) this.#connected?.channels.tellHashrates();
  }

  /** Closes its channels: there will be no miners any more. */
  closeAll(): void {
    this.#connected?.channels.closeAll();
  }

  /** It is over. Channels and jobs die with it. Returns how many shares it leaves unanswered. */
  end(): number {
    const unanswered = this.pendingSubmits;
    this.#options.outbox.count("sharesUnanswered", "", unanswered);
    this.#isOver = true;
    this.#connected?.channels.clear();
    return unanswered;
  }

  #onEvent(event: ClientEvent, connected: Connected): void {
    const { outbox } = this.#options;
    const { channels } = connected;
    switch (event.type) {
      case "opened":
        return channels.onOpened(event);
      case "open-refused":
        return channels.onRefused(event);
      case "job":
        return this.#onJob(event, connected);
      case "channel-closed":
        return channels.onClosed(event);
      case "shares-accepted":
        return this.#onAccepted(event, channels);
      case "share-rejected":
        outbox.count("sharesRejectedUpstream", event.errorCode);
        this.#trust.refused(outbox.now);
        return outbox.log("debug", "share rejected by the upstream", eventFields(event));
      default:
        return this.#onNotice(event);
    }
  }

  #onAccepted(event: Extract<ClientEvent, { type: "shares-accepted" }>, channels: SessionChannels): void {
    const { outbox, host } = this.#options;
    channels.ownerOf(event.channel)?.proven();
    if (event.count > 0) {
      this.#trust.credited();
      host.credited(this.id);
    }
    outbox.count("sharesAcknowledged", "", event.count);
    outbox.log("debug", "shares acknowledged by the upstream", eventFields(event));
  }

  /** Targets and prefixes are for later jobs, which bring them along. */
  #onNotice(event: Notice): void {
    const { outbox, host } = this.#options;
    switch (event.type) {
      case "target":
      case "prefix":
      case "future-job":
        return outbox.log("debug", `upstream sent a ${event.type}`, eventFields(event));
      case "custom-job-accepted":
      case "custom-job-refused":
        // Answers to what a translator never asks.
        return;
      case "update-refused":
        outbox.count("channels", "update-refused");
        return outbox.log("warn", "upstream refused an UpdateChannel", eventFields(event));
      case "reconnect":
        return host.asked(this.id, { newHost: event.host, newPort: event.port });
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
    if (failure !== undefined) host.failed(this.id, failure);
  }

  #onJob({ channel, job, clean }: Extract<ClientEvent, { type: "job" }>, connected: Connected): void {
    const { id, outbox, host } = this.#options;
    const { setup, channels, jobs } = connected;
    const link = channels.ownerOf(channel);
    if (link?.state.phase !== "open") return;
    const fault = jobs.faultOf(job, channel);
    if (fault !== undefined) {
      outbox.count("upstreamFaults", "bad-job");
      const detail = `the upstream gave a job nobody can use: ${fault}`;
      return host.failed(this.id, { code: "bad-job", detail });
    }
    const layout = channels.layoutOf(channel, job.extranoncePrefix) ?? link.state.layout;
    // Miners that come from another channel drop what they work on.
    const isClean = clean || link.uplink.holdsClean || link.uplink.active !== link;
    const told = { id: outbox.nextJobId(), clean: isClean, since: outbox.now };
    const work = new UpstreamWork({ session: id, channel, job, layout, fixedVersion: setup.fixedVersion }, told);
    link.state = { phase: "open", channel, layout, work };
    outbox.log("debug", "new work for miners", eventFields({ channel }));
    host.worked(link, work, clean);
  }

  #send(message: MiningMessage, worker?: string): void {
    this.#options.outbox.emit({ type: "send-upstream", session: this.id, message, worker });
  }
}
