import { MAX_TARGET, targetToBytes } from "@adit/bitcoin";
import {
  type AcceptedShare,
  type ActivatedJob,
  type ClientChannel,
  type ClientEvent,
  type FoundBlock,
  MiningClient,
  type TemplateOrigin,
} from "@adit/channels";
import {
  type AllocateMiningJobTokenSuccess,
  type CommonMessage,
  type JobDeclarationMessage,
  type MiningMessage,
  u256,
} from "@adit/codec";
import { TokenBucket } from "@adit/token-bucket";
import type { SessionId, SessionSetup } from "./effects.ts";
import type { Failure } from "./failure.ts";
import { JobDesk } from "./job-desk.ts";
import { NominalHashrate } from "./nominal-hashrate.ts";
import type { SessionNews, SessionOptions, SessionTerms } from "./session-types.ts";
import { TokenPurse } from "./token-purse.ts";
import { Tolerance } from "./tolerance.ts";

type Phase =
  | { readonly at: "connecting"; readonly since: number }
  | { readonly at: "opening"; readonly since: number; readonly requestId: number }
  | { readonly at: "open"; readonly channel: ClientChannel; readonly desk: JobDesk }
  /** It failed, or is not needed any more. */
  | { readonly at: "ended" };

/** What the open request says instead of a limit: any target is easy enough for us. */
const ANY_TARGET = u256(targetToBytes(MAX_TARGET));
/** The longest extranonce there is (B0_32). */
const MAX_EXTRANONCE_SIZE = 32;
/** Longest wait for both connections, one after the other, in milliseconds. */
const CONNECT_MS = 30_000;
/** Broken rules an upstream may have at once, and how many are forgiven a second. */
const FAULTS = { burst: 16, perSecond: 1 / 60 };

/**
 * A pool connection and a job-declarator connection, as one: from the set-up of both over the channel and the first token
 * to the declaration of jobs. Any failure of either ends it; it is never used again.
 */
export class Session {
  readonly #options: SessionOptions;
  readonly #client = new MiningClient();
  readonly #purse: TokenPurse;
  readonly #tolerance = new Tolerance();
  readonly #nominal = new NominalHashrate();
  readonly #faults: TokenBucket;
  #phase: Phase;
  #namesWorkers = false;
  #isReady = false;
  #isRetired = false;
  #lastRequestId = 0;

  /** Waits for its connections. */
  constructor(options: SessionOptions) {
    const { now } = options.outbox;
    this.#options = options;
    this.#purse = new TokenPurse({
      userIdentity: options.userIdentity,
      rules: options.payout,
      timeoutMs: options.tokenTimeoutMs,
      outbox: options.outbox,
      nextRequestId: () => this.#nextRequestId(),
      toJds: (message) => this.#toJds(message),
    });
    this.#faults = new TokenBucket(FAULTS, now);
    this.#phase = { at: "connecting", since: now };
  }

  /** Its number. */
  get id(): SessionId {
    return this.#options.id;
  }

  /** Place of its route. */
  get route(): number {
    return this.#options.route;
  }

  /** What miners' work must be; undefined unless the session is ready. */
  get terms(): SessionTerms | undefined {
    const { payout } = this.#purse;
    return this.#phase.at === "open" && payout !== undefined ? { channel: this.#phase.channel, payout } : undefined;
  }

  /** Whether miners were given a job for it. */
  knows(workId: number): boolean {
    return this.#desk?.knows(workId) === true;
  }

  /** Both connections are set up. */
  up(setup: SessionSetup): SessionNews | undefined {
    if (this.#phase.at !== "connecting") return undefined;
    const { versionRollingAllowed, userIdentity, minExtranonceSize, hashrate, outbox } = this.#options;
    if (setup.fixedVersion && versionRollingAllowed) {
      return failed("version-rolling-forbidden", "set version_rolling_allowed = false to mine at this pool");
    }
    this.#namesWorkers = setup.namesWorkers;
    const requestId = this.#nextRequestId();
    this.#phase = { at: "opening", since: outbox.now, requestId };
    const nominalHashRate = hashrate();
    this.#nominal.tell(nominalHashRate);
    const request = { requestId, userIdentity, nominalHashRate, maxTarget: ANY_TARGET, minExtranonceSize };
    this.#toPool(this.#client.openExtended(request));
    this.#askForTokens();
    return undefined;
  }

  /** The pool sent a message. */
  poolMessage(message: MiningMessage | CommonMessage): SessionNews | undefined {
    if (this.#phase.at === "connecting" || this.#phase.at === "ended") return undefined;
    if (message.name === "NewExtendedMiningJob" || message.name === "NewMiningJob") {
      return failed("unexpected-job", "the pool sends jobs of its own on a connection for declared ones");
    }
    let news: SessionNews | undefined;
    for (const event of this.#client.handle(message, this.#options.outbox.now)) news ??= this.#onEvent(event);
    return news;
  }

  /** The job declarator sent a message. */
  jdsMessage(message: JobDeclarationMessage | CommonMessage): SessionNews | undefined {
    if (this.#phase.at === "connecting" || this.#phase.at === "ended") return undefined;
    switch (message.name) {
      case "AllocateMiningJobTokenSuccess":
        return this.#onToken(message);
      case "DeclareMiningJobSuccess":
        return this.#judge(this.#desk?.declared(message));
      case "DeclareMiningJobError":
        return this.#judge(this.#desk?.declarationRefused(message));
      case "ProvideMissingTransactions":
        return this.#judge(this.#desk?.reveal(message));
      case "Reconnect":
        return failed("reconnect-asked", "the job declarator asked to connect elsewhere");
      default:
        return this.#broke("unexpected-message", message.name);
    }
  }

  /** Miners were given a job. */
  mine(job: ActivatedJob<TemplateOrigin>): void {
    this.#desk?.take(job);
    this.#askForTokens();
  }

  /** A miner found a share of a job that the session knows. */
  share(share: AcceptedShare): void {
    this.#desk?.share(share);
  }

  /** A miner found a block. */
  found(block: FoundBlock): void {
    this.#desk?.found(block);
  }

  /** Transactions came, or will not. */
  transactionsChanged(): void {
    this.#desk?.pump();
    this.#askForTokens();
  }

  /** The template provider is gone. */
  providerLost(): void {
    this.#desk?.providerLost();
  }

  /** A second has passed. */
  tick(): SessionNews | undefined {
    const { outbox, answerTimeoutMs, hashrate } = this.#options;
    const { now } = outbox;
    const phase = this.#phase;
    if (phase.at === "ended") return undefined;
    if (phase.at === "connecting") {
      return now - phase.since < CONNECT_MS ? undefined : failed("connection-timeout", "the connections are not up");
    }
    if (phase.at === "opening" && now - phase.since >= answerTimeoutMs) {
      return failed("channel-timeout", `the pool opened no channel in ${answerTimeoutMs / 1000} s`);
    }
    const failure = this.#purse.tick();
    if (failure !== undefined) return { type: "failed", failure };
    if (this.#tolerance.isOverdue(now)) return failed("custom-job-refused", "the pool stays on another tip");
    this.#askForTokens();
    if (phase.at === "opening") return undefined;
    this.#updateHashrate(phase.channel, hashrate());
    return this.#judge(phase.desk.tick());
  }

  /** Another is mined for. Late shares of jobs that the pool took still go to it until the session is ended. */
  retire(): void {
    this.#isRetired = true;
    this.#desk?.retire();
  }

  /** It is over; counts what it leaves unanswered. */
  end(): void {
    this.#desk?.close();
    if (this.#phase.at === "open")
      this.#options.outbox.count("sharesUnanswered", "", this.#phase.channel.pendingSubmits);
    this.#phase = { at: "ended" };
  }

  get #desk(): JobDesk | undefined {
    return this.#phase.at === "open" ? this.#phase.desk : undefined;
  }

  #onEvent(event: ClientEvent): SessionNews | undefined {
    const { outbox } = this.#options;
    switch (event.type) {
      case "opened":
        return this.#onOpened(event.channel);
      case "open-refused":
        return failed("channel-refused", event.errorCode);
      case "channel-closed":
        return failed("channel-closed", event.reasonCode);
      case "reconnect":
        return failed("reconnect-asked", "the pool asked to connect elsewhere");
      case "target":
        this.#tolerance.targetSet(outbox.now);
        this.#desk?.retarget();
        return { type: "target" };
      case "prefix":
        return this.#onPrefix(event.channel);
      case "custom-job-accepted":
      case "custom-job-refused":
        return this.#judge(this.#desk?.customJobAnswered(event));
      case "protocol-fault":
        return this.#broke(event.code, event.detail);
      default:
        return this.#onNotice(event);
    }
  }

  #onNotice(
    event: Extract<
      ClientEvent,
      { readonly type: "shares-accepted" | "share-rejected" | "update-refused" | "job" | "future-job" }
    >,
  ): SessionNews | undefined {
    const { outbox } = this.#options;
    switch (event.type) {
      case "shares-accepted":
        this.#tolerance.sharesAccepted(event.count);
        outbox.count("sharesAcknowledged", "", event.count);
        return undefined;
      case "share-rejected":
        outbox.count("sharesRejectedUpstream", event.errorCode);
        if (this.#tolerance.shareRefused(event.errorCode, outbox.now) === "race") return undefined;
        return failed("share-rejected", event.errorCode);
      case "update-refused":
        outbox.log("warn", "update-channel-refused", { session: this.id, errorCode: event.errorCode });
        return undefined;
      case "job":
      case "future-job":
        return failed("unexpected-job", "the pool gave a job of its own");
      default:
        return event satisfies never;
    }
  }

  #onOpened(channel: ClientChannel): SessionNews | undefined {
    const { outbox, mode, answerTimeoutMs, cache, transactions } = this.#options;
    if (!fitsExtranonce(channel)) return failed("extranonce-unusable", describeExtranonce(channel));
    const desk = new JobDesk({
      mode,
      timeoutMs: answerTimeoutMs,
      client: this.#client,
      channel,
      purse: this.#purse,
      tolerance: this.#tolerance,
      cache,
      transactions,
      outbox,
      nextRequestId: () => this.#nextRequestId(),
      toPool: (message, worker) => this.#toPool(message, worker),
      toJds: (message) => this.#toJds(message),
    });
    this.#phase = { at: "open", channel, desk };
    return this.#becomeReady();
  }

  #onToken(message: AllocateMiningJobTokenSuccess): SessionNews | undefined {
    const failure = this.#purse.receive(message);
    if (failure !== undefined) return { type: "failed", failure };
    this.#desk?.pump();
    return this.#becomeReady();
  }

  #becomeReady(): SessionNews | undefined {
    if (this.#isReady || this.terms === undefined) return undefined;
    this.#isReady = true;
    return { type: "ready" };
  }

  #onPrefix(channel: ClientChannel): SessionNews {
    if (!fitsExtranonce(channel)) return failed("extranonce-unusable", describeExtranonce(channel));
    this.#desk?.prefixChanged();
    return { type: "prefix" };
  }

  #judge(failure: Failure | undefined): SessionNews | undefined {
    this.#askForTokens();
    return failure && { type: "failed", failure };
  }

  #broke(code: string, detail: string): SessionNews | undefined {
    const { outbox } = this.#options;
    outbox.count("upstreamFaults", code);
    outbox.log("debug", "upstream-broke-the-protocol", { session: this.id, code, detail });
    return this.#faults.take(outbox.now) ? undefined : failed("protocol-fault", `${code}: ${detail}`);
  }

  #askForTokens(): void {
    if (!this.#isRetired && (this.#phase.at === "opening" || this.#phase.at === "open")) this.#purse.fill();
  }

  #updateHashrate({ channelId }: ClientChannel, nominalHashRate: number): void {
    if (!this.#nominal.isDue(nominalHashRate, this.#options.outbox.now)) return;
    this.#toPool({ name: "UpdateChannel", channelId, nominalHashRate, maximumTarget: ANY_TARGET });
  }

  #nextRequestId(): number {
    this.#lastRequestId = (this.#lastRequestId + 1) >>> 0;
    return this.#lastRequestId;
  }

  #toPool(message: MiningMessage, worker?: string): void {
    this.#options.outbox.emit({
      type: "send-pool",
      session: this.id,
      message,
      worker: this.#namesWorkers ? worker : undefined,
    });
  }

  #toJds(message: JobDeclarationMessage): void {
    this.#options.outbox.emit({ type: "send-jds", session: this.id, message });
  }
}

function failed(code: Failure["code"], detail: string): Extract<SessionNews, { readonly type: "failed" }> {
  return { type: "failed", failure: { code, detail } };
}

function fitsExtranonce({ extranoncePrefix, extranonceSize }: ClientChannel): boolean {
  return extranoncePrefix.length + extranonceSize <= MAX_EXTRANONCE_SIZE;
}

function describeExtranonce({ extranoncePrefix, extranonceSize }: ClientChannel): string {
  return `a prefix of ${extranoncePrefix.length} bytes and ${extranonceSize} bytes to roll are more than ${MAX_EXTRANONCE_SIZE}`;
}
