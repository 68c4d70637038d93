import { MAX_TARGET, targetToBytes } from "@adit/bitcoin";
import type { ClientChannel, ClientEvent, MiningClient } from "@adit/channels";
import { type MiningMessage, u256 } from "@adit/codec";
import type { SessionId } from "./effects.ts";
import { type ExtranonceLayout, extranonceSizesToAsk, layOutExtranonce } from "./extranonce-layout.ts";
import type { Outbox } from "./outbox.ts";
import type { Uplink } from "./uplink.ts";
import { UpstreamLink } from "./upstream-link.ts";
import type { UpstreamRules } from "./upstream-rules.ts";

/** Who hears what became of a session's channels. */
export interface ChannelHost {
  /** A channel is open and has its layout. */
  opened(link: UpstreamLink): void;
  /** A channel was refused; it is asked for again later. */
  refused(link: UpstreamLink): void;
  /** What a link's miners have is dead, and nothing takes its place yet. */
  stopped(link: UpstreamLink): void;
}

/** What {@link SessionChannels} works with. */
export interface SessionChannelsOptions {
  readonly session: SessionId;
  readonly client: MiningClient;
  /** Account that channels are opened for. */
  readonly userIdentity: string;
  readonly rules: UpstreamRules;
  readonly outbox: Outbox;
  readonly host: ChannelHost;
  readonly nextRequestId: () => number;
  readonly send: (message: MiningMessage) => void;
}

/** What the open request says instead of a limit: any target is easy enough for us. */
const ANY_TARGET = u256(targetToBytes(MAX_TARGET));
/** Requests that wait for their answer at once. */
const MAX_OPENING = 512;

/** The channels of one session: asked for, opened, refused, closed, and whose they are. */
export class SessionChannels {
  readonly #options: SessionChannelsOptions;
  readonly #links = new Map<Uplink, UpstreamLink>();
  readonly #byRequest = new Map<number, UpstreamLink>();
  readonly #byChannel = new Map<ClientChannel, UpstreamLink>();

  constructor(options: SessionChannelsOptions) {
    this.#options = options;
  }

  /** Shares without an answer. */
  get pendingSubmits(): number {
    let pending = 0;
    for (const channel of this.#byChannel.keys()) pending += channel.pendingSubmits;
    return pending;
  }

  /** Whether miners can be given work of any. */
  get hasWork(): boolean {
    for (const { work } of this.#links.values()) if (work !== undefined) return true;
    return false;
  }

  /** The channel of an uplink, or the wish for one, if there is any. */
  linkOf(uplink: Uplink): UpstreamLink | undefined {
    return this.#links.get(uplink);
  }

  /** Whose channel this is. */
  ownerOf(channel: ClientChannel): UpstreamLink | undefined {
    return this.#byChannel.get(channel);
  }

  /** How the bytes of a channel's extranonce are used; undefined when there are too few. */
  layoutOf(channel: ClientChannel, prefix: Uint8Array): ExtranonceLayout | undefined {
    const { extranonce2Size, aggregateChannels: shared } = this.#options.rules;
    return layOutExtranonce({ prefix, rollable: channel.extranonceSize, extranonce2Size, shared });
  }

  /** Asks for a channel for an uplink's miners, if there is none and one may be asked for. */
  open(uplink: Uplink): void {
    if (uplink.miners.size === 0) return;
    const link = this.#linkFor(uplink);
    const { rules, outbox, nextRequestId, client, userIdentity, send } = this.#options;
    if (link.state.phase !== "closed" || link.state.retryAt > outbox.now || this.#byRequest.size >= MAX_OPENING) return;
    const sizes = extranonceSizesToAsk(rules.extranonce2Size, rules.aggregateChannels);
    const requestId = nextRequestId();
    const nominalHashRate = uplink.nominalHashrate;
    const message = client.openExtended({
      requestId,
      userIdentity,
      nominalHashRate,
      maxTarget: ANY_TARGET,
      minExtranonceSize: sizes[link.asked] ?? 0,
    });
    this.#byRequest.set(requestId, link);
    link.opening(requestId, nominalHashRate);
    send(message);
  }

  /** An uplink has no miners left and will have none again. */
  forget(uplink: Uplink): void {
    const link = this.#links.get(uplink);
    this.#links.delete(uplink);
    if (link?.channel !== undefined) this.#close(link.channel, "miner-disconnected");
  }

  /** Tells the upstream how fast miners are, where that has changed. */
  tellHashrates(): void {
    const { outbox, send } = this.#options;
    for (const link of this.#links.values()) {
      const nominalHashRate = link.nominalDue(outbox.now);
      if (nominalHashRate === undefined || link.channel === undefined) continue;
      link.told(nominalHashRate);
      const { channelId } = link.channel;
      send({ name: "UpdateChannel", channelId, nominalHashRate, maximumTarget: ANY_TARGET });
    }
  }

  /** Closes all: there will be no miners any more. */
  closeAll(): void {
    for (const channel of this.#byChannel.keys()) this.#close(channel, "shutting-down");
  }

  /** The session is over, and all its channels with it. */
  clear(): void {
    this.#links.clear();
    this.#byRequest.clear();
    this.#byChannel.clear();
  }

  /** The upstream has opened one. */
  onOpened({ requestId, channel }: Extract<ClientEvent, { type: "opened" }>): void {
    const { outbox, host, rules } = this.#options;
    const link = this.#asked(requestId);
    if (link === undefined) return this.#close(channel, "miner-disconnected");
    const layout = this.layoutOf(channel, channel.extranoncePrefix);
    if (layout === undefined) {
      this.#close(channel, "extranonce-too-small");
      return this.#refused(link, "extranonce-too-small");
    }
    outbox.count("channels", "opened");
    const { channelId, extranonceSize } = channel;
    const level = rules.aggregateChannels ? "info" : "debug";
    outbox.log(level, "upstream channel open", { channelId, extranonceSize });
    this.#byChannel.set(channel, link);
    link.state = { phase: "open", channel, layout, work: undefined };
    host.opened(link);
  }

  /** The upstream has refused one: a shorter extranonce is asked for, or the same again later. */
  onRefused({ requestId, errorCode }: Extract<ClientEvent, { type: "open-refused" }>): void {
    const link = this.#asked(requestId);
    if (link === undefined) return;
    const { extranonce2Size, aggregateChannels } = this.#options.rules;
    const sizes = extranonceSizesToAsk(extranonce2Size, aggregateChannels);
    if (errorCode === "min-extranonce-size-too-large" && link.asked + 1 < sizes.length) {
      link.asked += 1;
      link.state = { phase: "closed", retryAt: 0 };
      return this.open(link.uplink);
    }
    this.#refused(link, errorCode);
  }

  /** The upstream has closed one. */
  onClosed({ channel, reasonCode }: Extract<ClientEvent, { type: "channel-closed" }>): void {
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
  stopWithoutJob(): void {
    for (const link of this.#links.values()) {
      const { state } = link;
      if (state.phase !== "open" || state.work === undefined || state.channel.activeJob !== undefined) continue;
      link.state = { ...state, work: undefined };
      this.#options.host.stopped(link);
    }
  }

  #linkFor(uplink: Uplink): UpstreamLink {
    let link = this.#links.get(uplink);
    if (link === undefined) {
      link = new UpstreamLink(uplink, this.#options.session);
      this.#links.set(uplink, link);
    }
    return link;
  }

  /** Who has asked for what is answered now; undefined when that is not wanted any more. */
  #asked(requestId: number): UpstreamLink | undefined {
    const link = this.#byRequest.get(requestId);
    this.#byRequest.delete(requestId);
    return link !== undefined && this.#links.get(link.uplink) === link ? link : undefined;
  }

  #refused(link: UpstreamLink, errorCode: string): void {
    const { outbox, host, rules } = this.#options;
    outbox.count("channels", "refused");
    outbox.log("warn", "upstream refused a channel; it is asked again", { errorCode });
    link.failed(outbox.now, rules.random);
    host.refused(link);
  }

  #close(channel: ClientChannel, reasonCode: string): void {
    const { outbox, client, send } = this.#options;
    this.#byChannel.delete(channel);
    outbox.count("sharesUnanswered", "", channel.pendingSubmits);
    send(client.close(channel.channelId, reasonCode));
  }
}
