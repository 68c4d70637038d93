import { MAX_TARGET, targetToBytes } from "@adit/bitcoin";
import { type ClientChannel, type ClientEvent, MiningClient } from "@adit/channels";
import { type CommonMessage, type MiningMessage, u256 } from "@adit/codec";
import type { Failure } from "./failure.ts";
import type { JobDesk } from "./job-desk.ts";
import { NominalHashrate } from "./nominal-hashrate.ts";
import { failed, type SessionNews, type SessionOptions } from "./session-types.ts";
import type { Tolerance } from "./tolerance.ts";

/** What a {@link PoolSide} works with. */
export interface PoolSideParts {
  readonly options: SessionOptions;
  readonly tolerance: Tolerance;
  readonly send: (message: MiningMessage) => void;
  /** The channel is open, and its extranonce fits. */
  readonly opened: (channel: ClientChannel) => SessionNews | undefined;
  /** What takes jobs to the pool; undefined until the channel is open. */
  readonly desk: () => JobDesk | undefined;
  /** Says what an answer about a job has come to. */
  readonly judge: (failure: Failure | undefined) => SessionNews | undefined;
  /** The pool broke a rule. Says so if it was one too many. */
  readonly broke: (code: string, detail: string) => SessionNews | undefined;
}

type CustomJobEvent = Extract<ClientEvent, { readonly type: "custom-job-accepted" | "custom-job-refused" }>;
type NoticedEvent = Extract<
  ClientEvent,
  { readonly type: "shares-accepted" | "share-rejected" | "update-refused" | "job" | "future-job" }
>;

/** What the open request says instead of a limit: any target is easy enough for us. */
const ANY_TARGET = u256(targetToBytes(MAX_TARGET));
/** The longest extranonce there is (B0_32). */
const MAX_EXTRANONCE_SIZE = 32;

/** A session's conversation with its pool: the one channel, from the request to its end, and what the pool says on it. */
export class PoolSide {
  readonly client: MiningClient = new MiningClient();
  readonly #parts: PoolSideParts;
  readonly #nominal = new NominalHashrate();
  #askedAt = 0;
  #channel: ClientChannel | undefined;

  constructor(parts: PoolSideParts) {
    this.#parts = parts;
  }

  /** The channel, once it is open. */
  get channel(): ClientChannel | undefined {
    return this.#channel;
  }

  /** Shares without an answer. */
  get pendingSubmits(): number {
    return this.#channel?.pendingSubmits ?? 0;
  }

  /** Asks for the channel. */
  open(requestId: number): void {
    const { options, send } = this.#parts;
    const { route, minExtranonceSize, hashrate, outbox } = options;
    const { userIdentity } = route.rules;
    this.#askedAt = outbox.now;
    const nominalHashRate = hashrate();
    this.#nominal.tell(nominalHashRate);
    const request = { requestId, userIdentity, nominalHashRate, maxTarget: ANY_TARGET, minExtranonceSize };
    send(this.client.openExtended(request));
  }

  /** The pool sent a message. */
  message(message: MiningMessage | CommonMessage): SessionNews | undefined {
    if (message.name === "NewExtendedMiningJob" || message.name === "NewMiningJob") {
      return failed("unexpected-job", "the pool sends jobs of its own on a connection for declared ones");
    }
    let news: SessionNews | undefined;
    for (const event of this.client.handle(message, this.#parts.options.outbox.now)) news ??= this.#onEvent(event);
    return news;
  }

  /** Whether the channel was not opened in time. */
  get isLate(): boolean {
    const { outbox, answerTimeoutMs } = this.#parts.options;
    return this.#channel === undefined && outbox.now - this.#askedAt >= answerTimeoutMs;
  }

  /** Tells the pool of the miners' hashrate, if it is another by now. */
  updateHashrate(): void {
    const { options, send } = this.#parts;
    const nominalHashRate = options.hashrate();
    if (this.#channel === undefined || !this.#nominal.isDue(nominalHashRate, options.outbox.now)) return;
    const { channelId } = this.#channel;
    send({ name: "UpdateChannel", channelId, nominalHashRate, maximumTarget: ANY_TARGET });
  }

  /** Closes the channel, as the specification asks of who leaves (5.3.9). */
  close(): void {
    if (this.#channel?.open === true) this.#parts.send(this.client.close(this.#channel.channelId, "shutting-down"));
  }

  #onEvent(event: ClientEvent): SessionNews | undefined {
    const { options, tolerance, desk, broke } = this.#parts;
    switch (event.type) {
      case "opened":
        return this.#onOpened(event.channel);
      case "open-refused":
        return failed("channel-refused", event.errorCode);
      case "channel-closed":
        return failed("channel-closed", event.reasonCode);
      case "reconnect":
        return { type: "asked", part: "pool", to: { newHost: event.host, newPort: event.port } };
      case "target":
        tolerance.targetSet(options.outbox.now);
        desk()?.retarget();
        return { type: "target" };
      case "prefix":
        return this.#onPrefix(event.channel);
      case "custom-job-accepted":
      case "custom-job-refused":
        return this.#onCustomJob(event);
      case "protocol-fault":
        return broke(event.code, event.detail);
      default:
        return this.#onNotice(event);
    }
  }

  #onNotice(event: NoticedEvent): SessionNews | undefined {
    const { options, tolerance } = this.#parts;
    const { outbox, id: session } = options;
    switch (event.type) {
      case "shares-accepted":
        tolerance.sharesAccepted(event.count);
        outbox.count("sharesAcknowledged", "", event.count);
        return undefined;
      case "share-rejected":
        outbox.count("sharesRejectedUpstream", event.errorCode);
        if (tolerance.shareRefused(event.errorCode, outbox.now) === "race") return undefined;
        return failed("share-rejected", event.errorCode);
      case "update-refused":
        outbox.log("warn", "update-channel-refused", { session, errorCode: event.errorCode });
        return undefined;
      case "job":
      case "future-job":
        return failed("unexpected-job", "the pool gave a job of its own");
      default:
        return event satisfies never;
    }
  }

  #onOpened(channel: ClientChannel): SessionNews | undefined {
    if (!fitsExtranonce(channel)) return failed("extranonce-unusable", describeExtranonce(channel));
    this.#channel = channel;
    return this.#parts.opened(channel);
  }

  #onPrefix(channel: ClientChannel): SessionNews {
    if (!fitsExtranonce(channel)) return failed("extranonce-unusable", describeExtranonce(channel));
    this.#parts.desk()?.prefixChanged();
    return { type: "prefix" };
  }

  #onCustomJob(event: CustomJobEvent): SessionNews | undefined {
    const { desk, judge } = this.#parts;
    return judge(desk()?.customJobAnswered(event));
  }
}

function fitsExtranonce({ extranoncePrefix, extranonceSize }: ClientChannel): boolean {
  return extranoncePrefix.length + extranonceSize <= MAX_EXTRANONCE_SIZE;
}

function describeExtranonce({ extranoncePrefix, extranonceSize }: ClientChannel): string {
  return `a prefix of ${extranoncePrefix.length} bytes and ${extranonceSize} bytes to roll are more than ${MAX_EXTRANONCE_SIZE}`;
}
