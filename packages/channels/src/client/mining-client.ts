import { hash, pureHashing, type ShareHashing, type Target, targetFromBytes } from "@adit/bitcoin";
import type {
  CloseChannel,
  CommonMessage,
  MiningMessage,
  NewExtendedMiningJob,
  NewMiningJob,
  OpenExtendedMiningChannel,
  OpenExtendedMiningChannelSuccess,
  OpenMiningChannelError,
  OpenStandardMiningChannel,
  OpenStandardMiningChannelSuccess,
  SetCustomMiningJob,
  SetCustomMiningJobError,
  SetCustomMiningJobSuccess,
  SetExtranoncePrefix,
  SetGroupChannel,
  SetNewPrevHash,
  SetTarget,
  SubmitSharesError,
  SubmitSharesSuccess,
  UpdateChannelError,
} from "@adit/codec";
import { type ChannelContext, type ClientChannel, TrackedChannel } from "./client-channel.ts";
import { MiningClientError } from "./client-error.ts";
import type { ClientEvent, ClientFault, ClientFaultCode } from "./client-event.ts";
import type { ReceivedJob, Tip } from "./client-job.ts";
import { type ClientLimits, defaultClientLimits } from "./client-limits.ts";
import { CustomJobRequests } from "./custom-job-requests.ts";

/** What a {@link MiningClient} is made with. */
export interface MiningClientOptions {
  /** Bounds; default {@link defaultClientLimits}. */
  readonly limits?: ClientLimits;
  /** Computes merkle roots of group jobs for standard channels; default the pure one. */
  readonly hashing?: ShareHashing;
}

/** Extranonces longer than this do not fit a submit (B0_32, spec 5.3.12). */
const MAX_EXTRANONCE_SIZE = 32;

/** Closed ids that are remembered, to tell late messages from wrong ones. */
const MAX_CLOSED = 1_024;

/**
 * The channels of one upstream connection, as its client sees them, with groups resolved: what is addressed to a group
 * reaches each member. Messages are taken in the order they came; nothing a server sends throws, and decoded bytes that
 * are kept are copied.
 */
export class MiningClient {
  readonly #context: ChannelContext;
  readonly #channels = new Map<number, TrackedChannel>();
  /** Ids of channels and groups that were closed, oldest first. */
  readonly #closed = new Set<number>();
  readonly #requests = new Map<number, OpenStandardMiningChannel | OpenExtendedMiningChannel>();
  readonly #customJobs: CustomJobRequests;

  constructor(options: MiningClientOptions = {}) {
    const limits = options.limits ?? defaultClientLimits;
    this.#context = { limits, hashing: options.hashing ?? pureHashing };
    this.#customJobs = new CustomJobRequests(limits.maxPendingRequests);
  }

  /** The open channels by id. */
  get channels(): ReadonlyMap<number, ClientChannel> {
    return this.#channels;
  }

  /** An open channel, or undefined. */
  channel(channelId: number): ClientChannel | undefined {
    return this.#channels.get(channelId);
  }

  /** Makes the message, and waits for its answer. Throws MiningClientError `request-id-in-use` or `too-many-requests`. */
  openExtended(request: Omit<OpenExtendedMiningChannel, "name">): OpenExtendedMiningChannel {
    return this.#request({ ...request, name: "OpenExtendedMiningChannel" });
  }

  /** Makes the message, and waits for its answer. Throws MiningClientError `request-id-in-use` or `too-many-requests`. */
  openStandard(request: Omit<OpenStandardMiningChannel, "name">): OpenStandardMiningChannel {
    return this.#request({ ...request, name: "OpenStandardMiningChannel" });
  }

  /**
   * Makes the message for a job of the client's own (spec 5.3.18), and waits for its answer: `custom-job-accepted` or
   * `custom-job-refused`. The connection must have been set up with REQUIRES_WORK_SELECTION.
   * Throws MiningClientError `channel-closed`, `wrong-channel-kind`, `request-id-in-use` or `too-many-requests`.
   */
  setCustomMiningJob(channel: ClientChannel, job: Omit<SetCustomMiningJob, "name" | "channelId">): SetCustomMiningJob {
    return this.#customJobs.request(channel, job);
  }

  /** Closes a channel, or all of a group, from this side (spec 5.3.9), and makes the message that says so. */
  close(channelId: number, reasonCode: string): CloseChannel {
    for (const channel of this.#addressed(channelId)) this.#remove(channel);
    return { name: "CloseChannel", channelId, reasonCode };
  }

  /** Takes one message from the server, in the order of arrival. No rule here needs `_now` yet. */
  handle(message: MiningMessage | CommonMessage, _now: number): readonly ClientEvent[] {
    switch (message.name) {
      case "OpenStandardMiningChannelSuccess":
      case "OpenExtendedMiningChannelSuccess":
        return this.#opened(message);
      case "OpenMiningChannelError":
        return this.#refused(message);
      case "CloseChannel":
        return this.#closedByServer(message);
      case "SetGroupChannel":
        return this.#regrouped(message);
      case "SubmitSharesSuccess":
      case "SubmitSharesError":
      case "UpdateChannelError":
        return this.#answered(message);
      case "Reconnect":
        return [{ type: "reconnect", host: message.newHost, port: message.newPort }];
      case "ChannelEndpointChanged":
        // It resets the state of extensions that are the channel's business (spec 3.6.4), of which there is none.
        return [];
      default:
        return this.#worked(message);
    }
  }

  #request<Request extends OpenStandardMiningChannel | OpenExtendedMiningChannel>(request: Request): Request {
    const at = request.name === "OpenStandardMiningChannel" ? "MiningClient.openStandard" : "MiningClient.openExtended";
    const { requestId } = request;
    if (this.#requests.has(requestId)) {
      throw new MiningClientError("request-id-in-use", at, `request ${requestId} still waits for its answer`);
    }
    if (this.#requests.size >= this.#context.limits.maxPendingRequests) {
      throw new MiningClientError("too-many-requests", at, `${this.#requests.size} requests wait for their answers`);
    }
    this.#requests.set(requestId, request);
    return request;
  }

  #opened(message: OpenStandardMiningChannelSuccess | OpenExtendedMiningChannelSuccess): readonly ClientEvent[] {
    const { requestId, channelId, groupChannelId } = message;
    const request = this.#requests.get(requestId);
    if (request === undefined) return [fault("unknown-request", `channel ${channelId} for request ${requestId}`)];
    this.#requests.delete(requestId);
    const target = parseTarget(message.target);
    const problem = this.#problemOf(message, request) ?? (target === undefined ? "the target is zero" : undefined);
    if (problem !== undefined || target === undefined) {
      const refused = { type: "open-refused", requestId, errorCode: "bad-open" } as const;
      return [fault("bad-open", `channel ${channelId}: ${problem}`), refused];
    }
    const opening = {
      channelId,
      groupChannelId,
      kind: request.name === "OpenExtendedMiningChannel" ? "extended" : "standard",
      userIdentity: request.userIdentity,
      extranoncePrefix: message.extranoncePrefix.slice(),
      extranonceSize: message.name === "OpenExtendedMiningChannelSuccess" ? message.extranonceSize : 0,
      target,
    } as const;
    const channel = new TrackedChannel(opening, this.#context);
    this.#channels.set(channelId, channel);
    return [{ type: "opened", requestId, channel }];
  }

  #problemOf(
    message: OpenStandardMiningChannelSuccess | OpenExtendedMiningChannelSuccess,
    request: OpenStandardMiningChannel | OpenExtendedMiningChannel,
  ): string | undefined {
    if (message.name !== `${request.name}Success`) return `${message.name} does not answer ${request.name}`;
    if (this.#addressed(message.channelId).length > 0) return "the id is taken";
    if (this.#channels.has(message.groupChannelId)) return "the group's id is a channel's";
    if (this.#channels.size >= this.#context.limits.maxChannels) return "too many channels are open";
    if (message.name !== "OpenExtendedMiningChannelSuccess" || request.name !== "OpenExtendedMiningChannel")
      return undefined;
    const { extranonceSize } = message;
    if (extranonceSize < request.minExtranonceSize) return `${extranonceSize} bytes of extranonce are too few`;
    return extranonceSize > MAX_EXTRANONCE_SIZE ? `${extranonceSize} bytes of extranonce are too many` : undefined;
  }

  #refused({ requestId, errorCode }: OpenMiningChannelError): readonly ClientEvent[] {
    if (!this.#requests.delete(requestId)) return [fault("unknown-request", `an error for request ${requestId}`)];
    return [{ type: "open-refused", requestId, errorCode }];
  }

  #closedByServer({ channelId, reasonCode }: CloseChannel): readonly ClientEvent[] {
    const channels = this.#addressed(channelId);
    if (channels.length === 0) return this.#unknown("CloseChannel", channelId);
    return channels.map((channel) => {
      this.#remove(channel);
      return { type: "channel-closed", channel, reasonCode };
    });
  }

  #regrouped({ groupChannelId, channelIds }: SetGroupChannel): readonly ClientEvent[] {
    if (this.#channels.has(groupChannelId)) {
      return [fault("bad-group", `${groupChannelId} is a channel, so it cannot be a group`)];
    }
    for (const channelId of channelIds) this.#channels.get(channelId)?.setGroup(groupChannelId);
    // One fault, however long the list: a hostile one names 65,535 channels.
    const unknown = channelIds.find((channelId) => !this.#channels.has(channelId) && !this.#closed.has(channelId));
    return unknown === undefined ? [] : this.#unknown("SetGroupChannel", unknown);
  }

  /** An answer for a channel that is not there comes late, and changes nothing. */
  #answered(message: SubmitSharesSuccess | SubmitSharesError | UpdateChannelError): readonly ClientEvent[] {
    const channel = this.#channels.get(message.channelId);
    if (channel === undefined) return [];
    switch (message.name) {
      case "SubmitSharesSuccess": {
        channel.acknowledge(message.lastSequenceNumber);
        const { lastSequenceNumber, newSubmitsAcceptedCount: count, newSharesSum: sum } = message;
        return [{ type: "shares-accepted", channel, lastSequenceNumber, count, sum }];
      }
      case "SubmitSharesError": {
        const { sequenceNumber, errorCode } = message;
        channel.reject(sequenceNumber);
        return [{ type: "share-rejected", channel, sequenceNumber, errorCode }];
      }
      case "UpdateChannelError":
        return [{ type: "update-refused", channel, errorCode: message.errorCode }];
      default:
        return message satisfies never;
    }
  }

  #customJobAnswered(message: SetCustomMiningJobSuccess | SetCustomMiningJobError): readonly ClientEvent[] {
    const { channelId, requestId } = message;
    const event = this.#customJobs.answered(message);
    if (event !== undefined) return [event];
    if (!this.#channels.has(channelId)) return this.#unknown(message.name, channelId);
    return [fault("unknown-request", `${message.name} for request ${requestId} of channel ${channelId}`)];
  }

  #worked(message: MiningMessage | CommonMessage): readonly ClientEvent[] {
    switch (message.name) {
      case "NewMiningJob":
        return this.#standardJob(message);
      case "NewExtendedMiningJob": {
        const received = extendedJob(message);
        return this.#each(message, (channel) => receive(channel, received));
      }
      case "SetNewPrevHash": {
        const tip = { prevHash: hash(message.prevHash.slice()), nbits: message.nbits };
        return this.#each(message, (channel) => this.#newTip(channel, message, tip));
      }
      case "SetTarget":
        return this.#newTarget(message);
      case "SetExtranoncePrefix":
        return this.#newPrefix(message);
      case "SetCustomMiningJobSuccess":
      case "SetCustomMiningJobError":
        return this.#customJobAnswered(message);
      default:
        return [fault("unexpected-message", `${message.name} is not for a mining client`)];
    }
  }

  #standardJob(message: NewMiningJob): readonly ClientEvent[] {
    const channel = this.#channels.get(message.channelId);
    if (channel === undefined) return this.#unknown(message.name, message.channelId);
    if (channel.kind !== "standard") {
      return [fault("wrong-job-kind", `a standard job for extended channel ${channel.channelId}`)];
    }
    const { jobId, version, minNtime } = message;
    const work = { kind: "standard", merkleRoot: hash(message.merkleRoot.slice()) } as const;
    return [receive(channel, { jobId, version, versionRollingAllowed: true, minNtime, work })];
  }

  #newTip(channel: TrackedChannel, { jobId, minNtime }: SetNewPrevHash, tip: Tip): ClientEvent {
    const job = channel.newTip(tip, jobId, minNtime);
    if (job !== undefined) return { type: "job", channel, job, clean: true };
    return fault(
      "unknown-job",
      `prevhash for job ${jobId}, which channel ${channel.channelId} does not have as future`,
    );
  }

  #newTarget(message: SetTarget): readonly ClientEvent[] {
    const target = parseTarget(message.maximumTarget);
    if (target === undefined) return [fault("bad-target", `target zero for channel ${message.channelId}`)];
    return this.#each(message, (channel) => {
      channel.setTarget(target);
      return { type: "target", channel, target };
    });
  }

  #newPrefix(message: SetExtranoncePrefix): readonly ClientEvent[] {
    const channel = this.#channels.get(message.channelId);
    if (channel === undefined) return this.#unknown(message.name, message.channelId);
    const extranoncePrefix = message.extranoncePrefix.slice();
    channel.setExtranoncePrefix(extranoncePrefix);
    return [{ type: "prefix", channel, extranoncePrefix }];
  }

  #each(
    message: { readonly name: string; readonly channelId: number },
    step: (channel: TrackedChannel) => ClientEvent,
  ): readonly ClientEvent[] {
    const channels = this.#addressed(message.channelId);
    return channels.length === 0 ? this.#unknown(message.name, message.channelId) : channels.map(step);
  }

  /** The channel with this id, or the members of the group with this id. */
  #addressed(channelId: number): readonly TrackedChannel[] {
    const channel = this.#channels.get(channelId);
    if (channel !== undefined) return [channel];
    return [...this.#channels.values()].filter((member) => member.groupChannelId === channelId);
  }

  #remove(channel: TrackedChannel): void {
    channel.close();
    this.#customJobs.forget(channel);
    this.#channels.delete(channel.channelId);
    for (const id of [channel.channelId, channel.groupChannelId]) this.#closed.add(id);
    while (this.#closed.size > MAX_CLOSED) {
      for (const oldest of this.#closed) {
        this.#closed.delete(oldest);
        break;
      }
    }
  }

  /** What the server sent before it knew of a close is late, not wrong. */
  #unknown(name: string, channelId: number): readonly ClientEvent[] {
    return this.#closed.has(channelId) ? [] : [fault("unknown-channel", `${name} for channel ${channelId}`)];
  }
}

function receive(channel: TrackedChannel, received: ReceivedJob): ClientEvent {
  const outcome = channel.receive(received);
  switch (outcome.kind) {
    case "future":
      return { type: "future-job", channel, job: outcome.job };
    case "active":
      return { type: "job", channel, job: outcome.job, clean: false };
    case "no-tip":
      return fault("job-without-prev-hash", `active job ${received.jobId} for channel ${channel.channelId}`);
    default:
      return outcome satisfies never;
  }
}

function extendedJob(message: NewExtendedMiningJob): ReceivedJob {
  const { jobId, version, versionRollingAllowed, minNtime } = message;
  const work = {
    kind: "extended",
    coinbaseTxPrefix: message.coinbaseTxPrefix.slice(),
    coinbaseTxSuffix: message.coinbaseTxSuffix.slice(),
    merklePath: message.merklePath.map((sibling) => hash(sibling.slice())),
  } as const;
  return { jobId, version, versionRollingAllowed, minNtime, work };
}

function parseTarget(bytes: Uint8Array): Target | undefined {
  return bytes.some((byte) => byte !== 0) ? targetFromBytes(bytes) : undefined;
}

function fault(code: ClientFaultCode, detail: string): ClientFault {
  return { type: "protocol-fault", code, detail };
}
