import { difficultyOf, hex, target, targetFromDifficulty, targetToBytes } from "@adit/bitcoin";
import { TokenBucket } from "@adit/token-bucket";
import { configureResult, ROLLABLE_VERSION_BITS, readConfigure } from "./configure.ts";
import { difficultyText, readDifficulty, roundDifficultyDown } from "./difficulty.ts";
import { uint32Hex } from "./hex-field.ts";
import { notifyParams, type Sv1Job } from "./job.ts";
import { JobBook } from "./job-book.ts";
import {
  errorLine,
  notificationLine,
  parseMessage,
  type RawId,
  resultLine,
  type Sv1Fault,
  type Sv1Request,
} from "./message.ts";
import { RejectLadder } from "./reject-ladder.ts";
import type {
  Sv1CloseReason,
  Sv1RejectReason,
  Sv1ServerEffect,
  Sv1ServerInput,
  Sv1ServerOptions,
} from "./server-types.ts";
import { checkSubmit, readSubmit, rejectReplies } from "./submit.ts";

/** LuxOS and others need 128 characters to say who they are. */
const USER_AGENT_LENGTH = 128;
const LONGEST_EXTRANONCE1 = 32;
const METHOD_NOT_FOUND = -3;
const LONE_SURROGATE = /\p{Surrogate}/u;
const LONE_SURROGATES = /\p{Surrogate}/gu;
/** Without a host the miner comes back to the address it has. */
const RECONNECT = notificationLine("client.reconnect", "[]");

/**
 * The pool's side of one miner's connection. Lines, work and time in; effects out; no input makes it throw but a
 * host's mistake (`RangeError`).
 *
 * Nothing unasked precedes the reply to `mining.subscribe`: cgminer, cpuminer and NerdMiner take the next line for the
 * reply. Work follows that reply at once and does not wait for `mining.authorize`, as with ckpool and DATUM: hashrate
 * markets probe a pool for 150 ms and leave when no job has come, and a miner that never authorizes is timed out.
 */
export class Sv1ServerSession {
  readonly #options: Sv1ServerOptions;
  readonly #book: JobBook;
  readonly #messages: TokenBucket;
  readonly #faults: TokenBucket;
  readonly #ladder: RejectLadder;
  readonly #userNames = new Set<string>();
  #effects: Sv1ServerEffect[] = [];
  #now = 0;
  #closed = false;

  #spoken = false;
  #handshakeSince: number | undefined;
  #lastActivity: number | undefined;
  #lastNotify: number | undefined;
  #subscribed = false;
  /** Requests that wait for the extranonce, the subscribe first; a later line must not overtake it. */
  #held: Sv1Request[] | undefined;

  #extranonce1: Uint8Array | null;
  #extranonce2Size: number;
  #difficulty: number;
  #upstreamMask: number;
  /** The bits the miner asked to roll; `undefined` when it never asked. */
  #askedMask: number | undefined;
  #takesExtranonce = false;
  #suggested: number | undefined;
  #job: Sv1Job | undefined;

  // What the miner was last told. A difference is told before the next job.
  #toldExtranonce = "";
  #toldDifficulty: number | undefined;
  #toldMask: number | undefined;
  #toldPrevHash: string | undefined;

  /** Throws `RangeError` for an extranonce2 size outside 2 to 8 or a difficulty that is no positive number. */
  constructor(options: Sv1ServerOptions) {
    const { limits } = options;
    checkExtranonce(options.extranonce1, options.extranonce2Size);
    this.#options = options;
    this.#book = new JobBook(limits);
    this.#messages = new TokenBucket({ burst: limits.messageBurst, perSecond: limits.messagesPerSecond }, 0);
    this.#faults = new TokenBucket({ burst: limits.faultsPerMinute, perSecond: limits.faultsPerMinute / 60 }, 0);
    this.#ladder = new RejectLadder(limits.rejectMinimum);
    this.#extranonce1 = options.extranonce1?.slice() ?? null;
    this.#extranonce2Size = options.extranonce2Size;
    this.#difficulty = roundDifficultyDown(options.difficulty);
    this.#upstreamMask = options.versionMask & ROLLABLE_VERSION_BITS;
  }

  /** When the miner last sent a message, in the caller's milliseconds; `undefined` before the first. */
  get lastActivity(): number | undefined {
    return this.#lastActivity;
  }

  /** When the miner was last sent a job; a keep-alive job is due 50 s later. `undefined` before the first. */
  get lastNotify(): number | undefined {
    return this.#lastNotify;
  }

  /** The miner has its extranonce and gets work. */
  get subscribed(): boolean {
    return this.#subscribed;
  }

  /** The names authorized so far, the one that shares are accounted to first. */
  get userNames(): ReadonlySet<string> {
    return this.#userNames;
  }

  /** Takes an input at a time in milliseconds; returns what to do, in order. Empty once the session has closed. */
  handle(input: Sv1ServerInput, now: number): readonly Sv1ServerEffect[] {
    if (this.#closed) return [];
    this.#effects = [];
    this.#now = now;
    this.#handshakeSince ??= now;
    this.#dispatch(input);
    return this.#effects;
  }

  #dispatch(input: Sv1ServerInput): void {
    switch (input.type) {
      case "line":
        return this.#onLine(input.line);
      case "job":
        return this.#onJob(input.job, input.difficulty);
      case "difficulty":
        this.#difficulty = roundDifficultyDown(input.difficulty);
        if (input.immediate === true && this.#subscribed) this.#tellDifficulty();
        return;
      case "extranonce":
        return this.#onExtranonce(input.extranonce1, input.extranonce2Size);
      case "version-mask":
        this.#upstreamMask = input.mask & ROLLABLE_VERSION_BITS;
        return;
      case "retire-jobs":
        return this.#retire(input.keeps ?? (() => false));
      case "tick":
        return this.#onTick();
      default:
        input satisfies never;
    }
  }

  #onLine(line: string): void {
    if (!this.#messages.take(this.#now)) return this.#close("message-rate");
    const message = parseMessage(line, this.#options.limits.message);
    if (message.kind === "fault") return this.#onFault(message);
    this.#spoken = true;
    this.#lastActivity = this.#now;
    if (message.kind === "response") return;
    if (this.#held === undefined) return this.#onRequest(message);
    if (this.#held.length >= this.#options.limits.heldLines) return this.#close("too-many-held-lines");
    this.#held.push(message);
  }

  #onFault(fault: Sv1Fault): void {
    this.#emit({ type: "fault", code: fault.code });
    // Who starts with nonsense speaks another protocol; who ends up with it has a bug worth an answer.
    const foreign = fault.code === "not-json" || fault.code === "not-an-object";
    if (foreign && !this.#spoken) return this.#close("not-stratum");
    this.#refuse(fault.id, `Invalid message: ${fault.code}`);
  }

  #onRequest(request: Sv1Request): void {
    switch (request.method) {
      case "mining.configure":
        return this.#onConfigure(request);
      case "mining.subscribe":
        return this.#onSubscribe(request);
      case "mining.authorize":
        return this.#onAuthorize(request);
      case "mining.submit":
        return this.#onSubmit(request);
      case "mining.suggest_difficulty":
        return this.#onSuggestion(request, readDifficulty(request.params[0]));
      case "mining.suggest_target":
        return this.#onSuggestion(request, difficultyOfTargetHex(request.params[0]));
      case "mining.extranonce.subscribe":
        this.#takesExtranonce = true;
        return this.#send(resultLine(request.id, "true"));
      case "mining.ping":
        return this.#send(resultLine(request.id, '"pong"'));
      case "pong":
        // ESP-Miner answers a ping with a request of this name.
        return;
      default:
        return this.#onOtherMethod(request);
    }
  }

  #onOtherMethod(request: Sv1Request): void {
    const difficulty = difficultyInMethod(request.method);
    if (difficulty !== undefined) return this.#onSuggestion(request, difficulty);
    this.#send(errorLine(request.id, METHOD_NOT_FOUND, "Method not found"));
  }

  #onConfigure(request: Sv1Request): void {
    const asked = readConfigure(request.params);
    if (asked === undefined) return this.#refuse(request.id, "Malformed mining.configure");
    if (asked.extensions.has("version-rolling")) this.#askedMask = (asked.versionMask ?? 0) & ROLLABLE_VERSION_BITS;
    if (asked.extensions.has("subscribe-extranonce")) this.#takesExtranonce = true;
    const granted = this.#grantedMask();
    this.#send(resultLine(request.id, configureResult(asked, granted)));
    if (asked.extensions.has("version-rolling")) this.#toldMask = granted === 0 ? 0 : undefined;
    if (this.#subscribed) this.#tellMask();
    this.#suggest(readDifficulty(asked.minimumDifficulty));
  }

  #onSubscribe(request: Sv1Request): void {
    const userAgent = readUserAgent(request.params[0]);
    if (this.#extranonce1 === null) {
      this.#held = [request];
      return this.#emit({ type: "extranonce-needed", userAgent });
    }
    const extranonce1 = hex(this.#extranonce1);
    const subscriptions = `[["mining.set_difficulty","${extranonce1}"],["mining.notify","${extranonce1}"]]`;
    this.#send(resultLine(request.id, `[${subscriptions},"${extranonce1}",${this.#extranonce2Size}]`));
    const first = !this.#subscribed;
    this.#subscribed = true;
    this.#toldExtranonce = this.#extranonceKey();
    this.#toldDifficulty = undefined;
    if (first) this.#emit({ type: "subscribed", userAgent });
    this.#tellMask();
    this.#sendWork(true);
  }

  #onAuthorize(request: Sv1Request): void {
    const [userName, password] = request.params;
    if (typeof userName !== "string" || LONE_SURROGATE.test(userName)) {
      return this.#refuse(request.id, "Malformed mining.authorize");
    }
    const known = this.#userNames.has(userName);
    if (!known && this.#userNames.size >= this.#options.limits.userNames) {
      const { code } = rejectReplies.unauthorized;
      return this.#send(errorLine(request.id, code, "Too many workers on this connection"));
    }
    this.#send(resultLine(request.id, "true"));
    if (known) return;
    this.#userNames.add(userName);
    this.#emit({ type: "authorized", userName, password: typeof password === "string" ? password : "" });
  }

  #onSubmit(request: Sv1Request): void {
    if (!this.#subscribed) return this.#reject(request, "not-subscribed");
    if (this.#userNames.size === 0) return this.#reject(request, "unauthorized");
    const submit = readSubmit(request.params);
    if (submit === undefined) return this.#reject(request, "malformed-submit");
    const { hashing, limits } = this.#options;
    const rules = { grantedMask: this.#askedMask ?? 0, ntimeForwardSec: limits.ntimeForwardSec, hashing };
    const outcome = checkSubmit(submit, this.#book, rules);
    if (outcome.kind === "rejected") return this.#reject(request, outcome.reason);
    this.#send(resultLine(request.id, "true"));
    const fresh = outcome.difficulty === this.#toldDifficulty;
    const userName = this.#accountOf(request.params[0]);
    this.#emit({ type: "share", share: { ...outcome.share, userName, fresh } });
    this.#ladder.count(true, this.#now);
    this.#climb();
  }

  #reject(request: Sv1Request, reason: Sv1RejectReason): void {
    const { code, text } = rejectReplies[reason];
    this.#send(errorLine(request.id, code, text));
    this.#emit({ type: "rejected", code, reason, userName: this.#accountOf(request.params[0]) });
    this.#ladder.count(false, this.#now);
    this.#climb();
  }

  /** The authorized name a submit counts for: the one it gives, else the first one. */
  #accountOf(given: unknown): string {
    if (typeof given === "string" && this.#userNames.has(given)) return given;
    const [first = ""] = this.#userNames;
    return first;
  }

  #onSuggestion(request: Sv1Request, difficulty: number | undefined): void {
    const [value] = request.params;
    const readable = difficulty !== undefined || typeof value === "number" || typeof value === "string";
    if (!readable) return this.#refuse(request.id, `Malformed ${request.method}`);
    this.#send(resultLine(request.id, "true"));
    this.#suggest(difficulty);
  }

  /** Passes a suggestion on unless it repeats the last one: NerdMiner repeats it every 30 s as a sign of life. */
  #suggest(difficulty: number | undefined): void {
    if (difficulty === undefined || difficulty === this.#suggested) return;
    this.#suggested = difficulty;
    this.#emit({ type: "suggest-difficulty", difficulty });
  }

  #onJob(job: Sv1Job, difficulty: number | undefined): void {
    if (job.id === this.#job?.id || this.#book.has(job.id)) throw new RangeError(`job id ${job.id} was used before`);
    if (difficulty !== undefined) this.#difficulty = roundDifficultyDown(difficulty);
    this.#job = job;
    if (this.#subscribed) this.#sendWork(job.clean);
  }

  #onExtranonce(extranonce1: Uint8Array, extranonce2Size: number): void {
    checkExtranonce(extranonce1, extranonce2Size);
    this.#extranonce1 = extranonce1.slice();
    this.#extranonce2Size = extranonce2Size;
    if (this.#subscribed && !this.#takesExtranonce && this.#extranonceKey() !== this.#toldExtranonce) {
      this.#send(RECONNECT);
      return this.#close("extranonce-changed");
    }
    const held = this.#held ?? [];
    this.#held = undefined;
    // Waiting for us was no delay of the miner's.
    if (!this.#subscribed) this.#handshakeSince = this.#now;
    for (const request of held) {
      if (!this.#closed) this.#onRequest(request);
    }
  }

  #retire(keeps: (job: Sv1Job) => boolean): void {
    if (this.#job !== undefined && !keeps(this.#job)) this.#job = undefined;
    this.#book.retire(({ job }) => !keeps(job));
  }

  #onTick(): void {
    const { handshakeTimeoutMs, idleTimeoutMs } = this.#options.limits;
    const handshakeSince = this.#handshakeSince ?? this.#now;
    const shaking = this.#held === undefined && (!this.#subscribed || this.#userNames.size === 0);
    if (shaking && this.#now - handshakeSince >= handshakeTimeoutMs) return this.#close("handshake-timeout");
    if (this.#now - (this.#lastActivity ?? handshakeSince) >= idleTimeoutMs) return this.#close("idle");
    this.#climb();
  }

  /** Takes the step that a bad minute calls for, if one has just ended. */
  #climb(): void {
    const step = this.#ladder.judge(this.#now);
    switch (step) {
      case "none":
        return;
      case "resend":
        return this.#sendWork(true);
      case "reconnect":
        return this.#send(RECONNECT);
      case "drop":
        return this.#close("too-many-rejected-shares");
      default:
        step satisfies never;
    }
  }

  /** Sends the newest job, and before it whatever changed since the miner was last told. */
  #sendWork(clean: boolean): void {
    const job = this.#job;
    if (job === undefined || this.#extranonce1 === null || !this.#subscribed) return;
    this.#tellMask();
    const moved = this.#tellExtranonce();
    this.#tellDifficulty();
    // The granted bits are BIP320's, which carry no signal. Cleared, all the ways that firmware combines its own with
    // them (replace, or, exclusive or) come to the same.
    const version = job.version & ~this.#grantedMask();
    const prevHash = hex(job.prevHash);
    const target = targetFromDifficulty(this.#difficulty);
    this.#book.add({
      job,
      version,
      versionMask: this.#upstreamMask,
      extranonce1: this.#extranonce1,
      extranonce2Size: this.#extranonce2Size,
      difficulty: this.#difficulty,
      target,
      targetBytes: targetToBytes(target),
    });
    const fresh = clean || moved || prevHash !== this.#toldPrevHash;
    this.#toldPrevHash = prevHash;
    this.#lastNotify = this.#now;
    this.#send(notificationLine("mining.notify", notifyParams(job, version, fresh)));
  }

  #tellDifficulty(): void {
    if (this.#difficulty === this.#toldDifficulty) return;
    this.#toldDifficulty = this.#difficulty;
    this.#send(notificationLine("mining.set_difficulty", `[${difficultyText(this.#difficulty)}]`));
    this.#book.ease(targetFromDifficulty(this.#difficulty));
  }

  /** True when the extranonce did change. */
  #tellExtranonce(): boolean {
    const key = this.#extranonceKey();
    if (key === this.#toldExtranonce) return false;
    this.#toldExtranonce = key;
    this.#send(notificationLine("mining.set_extranonce", `[${key}]`));
    return true;
  }

  #tellMask(): void {
    const granted = this.#grantedMask();
    if (this.#askedMask === undefined || granted === this.#toldMask) return;
    this.#toldMask = granted;
    this.#send(notificationLine("mining.set_version_mask", `["${uint32Hex(granted)}"]`));
  }

  #grantedMask(): number {
    return (this.#askedMask ?? 0) & this.#upstreamMask;
  }

  #extranonceKey(): string {
    return `"${hex(this.#extranonce1 ?? new Uint8Array())}",${this.#extranonce2Size}`;
  }

  /** Answers what cannot be acted on, and closes when that happens too often. */
  #refuse(id: RawId, text: string): void {
    this.#send(errorLine(id, rejectReplies["malformed-submit"].code, text));
    if (!this.#faults.take(this.#now)) this.#close("too-many-faults");
  }

  #send(line: string): void {
    this.#emit({ type: "send", line });
  }

  #close(reason: Sv1CloseReason): void {
    this.#closed = true;
    this.#held = undefined;
    this.#book.retire();
    this.#emit({ type: "close", reason });
  }

  #emit(effect: Sv1ServerEffect): void {
    this.#effects.push(effect);
  }
}

function checkExtranonce(extranonce1: Uint8Array | null, extranonce2Size: number): void {
  if (!Number.isInteger(extranonce2Size) || extranonce2Size < 2 || extranonce2Size > 8) {
    throw new RangeError(`extranonce2 takes 2 to 8 bytes, not ${extranonce2Size}`);
  }
  if (extranonce1 !== null && extranonce1.length > LONGEST_EXTRANONCE1) {
    throw new RangeError(`extranonce1 takes at most ${LONGEST_EXTRANONCE1} bytes, not ${extranonce1.length}`);
  }
}

/** The user agent for logs and statistics; anything but text is none. */
function readUserAgent(value: unknown): string {
  if (typeof value !== "string") return "";
  return value.slice(0, USER_AGENT_LENGTH).replaceAll(LONE_SURROGATES, "\ufffd");
}

/** Some miners write the number into the method's name, as ckpool accepts: `mining.suggest_difficulty(42)`. */
function difficultyInMethod(method: string): number | undefined {
  return readDifficulty(/^mining\.suggest_difficulty\((.{1,33})\)$/.exec(method)?.[1]);
}

/** The difficulty of a target in 64 hex digits, most significant first. */
function difficultyOfTargetHex(value: unknown): number | undefined {
  if (typeof value !== "string" || !/^[0-9a-fA-F]{64}$/.test(value)) return undefined;
  const number = BigInt(`0x${value}`);
  return number === 0n ? undefined : readDifficulty(difficultyOf(target(number)));
}
