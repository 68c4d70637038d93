import { hex, targetFromDifficulty } from "@adit/bitcoin";
import {
  defaultSv1ClientLimits,
  type Sv1ClientCloseReason,
  type Sv1ClientEffect,
  type Sv1ClientInput,
  type Sv1ClientLimits,
  type Sv1ClientOptions,
  type Sv1ClientSubmit,
} from "./client-types.ts";
import { ROLLABLE_VERSION_BITS } from "./configure.ts";
import { uint32Hex } from "./hex-field.ts";
import { errorLine, parseMessage, type RawId, resultLine, type Sv1Request, type Sv1Response } from "./message.ts";
import {
  type Extranonce,
  readGrantedMask,
  readNotify,
  readReconnect,
  readRejection,
  readSetDifficulty,
  readSetExtranonce,
  readSubscribeResult,
  readText,
  readVersionMask,
} from "./pool-messages.ts";

type Pending =
  | { readonly kind: "configure" | "subscribe" | "authorize" | "other" }
  | { readonly kind: "submit"; readonly submit: Sv1ClientSubmit; readonly at: number };

/** The miner's side of a connection to a pool. Whatever the pool sends, it does not throw, and believes nothing unchecked. */
export class Sv1ClientSession {
  readonly #options: Sv1ClientOptions;
  readonly #limits: Sv1ClientLimits;
  /** Requests without a reply, by the text of their id. */
  readonly #pending = new Map<RawId, Pending>();
  #effects: Sv1ClientEffect[] = [];
  #now = 0;
  #closed = false;
  #nextId = 1;
  #submitsPending = 0;
  #connectedAt: number | undefined;
  #lastLine: number | undefined;
  #authorized = false;
  #extranonce: Extranonce | undefined;
  #versionMask = 0;
  #difficulty = 1;

  constructor(options: Sv1ClientOptions) {
    this.#options = options;
    this.#limits = options.limits ?? defaultSv1ClientLimits;
  }

  /** Takes an input at a time in milliseconds; returns what to do, in order. Empty once the session has closed. */
  handle(input: Sv1ClientInput, now: number): readonly Sv1ClientEffect[] {
    if (this.#closed) return [];
    this.#effects = [];
    this.#now = now;
    switch (input.type) {
      case "connected":
        this.#onConnected();
        break;
      case "line":
        this.#onLine(input.line);
        break;
      case "submit":
        this.#onSubmit(input.submit);
        break;
      case "tick":
        this.#onTick();
        break;
      default:
        input satisfies never;
    }
    return this.#effects;
  }

  /** Says everything at once: pools answer in order, and a round trip each would delay the first job. */
  #onConnected(): void {
    const { userAgent, userName, password, versionRolling, extranonceSubscribe, suggestDifficulty } = this.#options;
    this.#connectedAt = this.#now;
    if (versionRolling) {
      const values = { "version-rolling.mask": uint32Hex(ROLLABLE_VERSION_BITS), "version-rolling.min-bit-count": 2 };
      this.#request({ kind: "configure" }, "mining.configure", [["version-rolling"], values]);
    }
    this.#request({ kind: "subscribe" }, "mining.subscribe", [userAgent]);
    if (extranonceSubscribe === true) this.#request({ kind: "other" }, "mining.extranonce.subscribe", []);
    this.#request({ kind: "authorize" }, "mining.authorize", [userName, password]);
    if (suggestDifficulty !== undefined) {
      this.#request({ kind: "other" }, "mining.suggest_difficulty", [suggestDifficulty]);
    }
  }

  #onSubmit(submit: Sv1ClientSubmit): void {
    if (this.#submitsPending >= this.#limits.pendingSubmits) return this.#settle(submit, "too-many-pending");
    const { job, extranonce2, ntime, nonce, version } = submit;
    const params = [this.#options.userName, job.id, hex(extranonce2), uint32Hex(ntime), uint32Hex(nonce)];
    if (job.versionMask !== 0) params.push(uint32Hex(version & job.versionMask));
    this.#submitsPending++;
    this.#request({ kind: "submit", submit, at: this.#now }, "mining.submit", params);
  }

  #onTick(): void {
    const { handshakeTimeoutMs, silenceTimeoutMs, submitTimeoutMs } = this.#limits;
    const connectedAt = this.#connectedAt ?? this.#now;
    for (const [id, pending] of this.#pending) {
      if (pending.kind !== "submit" || this.#now - pending.at < submitTimeoutMs) continue;
      this.#pending.delete(id);
      this.#submitsPending--;
      this.#settle(pending.submit, "timeout");
    }
    const shaking = this.#extranonce === undefined || !this.#authorized;
    if (shaking && this.#now - connectedAt >= handshakeTimeoutMs) return this.#close("handshake-timeout");
    if (this.#now - (this.#lastLine ?? connectedAt) >= silenceTimeoutMs) this.#close("silent");
  }

  #onLine(line: string): void {
    this.#lastLine = this.#now;
    const message = parseMessage(line, this.#limits.message);
    switch (message.kind) {
      case "fault":
        return this.#close("bad-message");
      case "response":
        return this.#onResponse(message);
      case "request":
        return this.#onRequest(message);
      default:
        message satisfies never;
    }
  }

  #onRequest(request: Sv1Request): void {
    switch (request.method) {
      case "mining.notify":
        return this.#onNotify(request.params);
      case "mining.set_difficulty":
        return this.#onSetDifficulty(request.params);
      case "mining.set_extranonce":
        return this.#onSetExtranonce(request.params);
      case "mining.set_version_mask":
        return this.#onSetVersionMask(request.params);
      case "client.reconnect":
        return this.#emit({ type: "reconnect", ...readReconnect(request.params) });
      case "client.show_message":
        return this.#emit({ type: "message", text: readText(request.params[0]) });
      case "client.get_version":
        return this.#send(resultLine(request.id, JSON.stringify(this.#options.userAgent)));
      case "mining.ping":
        return this.#send(resultLine(request.id, '"pong"'));
      default:
        // A notification with a null id wants no answer.
        if (request.id !== "null") this.#send(errorLine(request.id, -3, "Method not found"));
    }
  }

  #onNotify(params: readonly unknown[]): void {
    const job = readNotify(params);
    if (job === undefined) return this.#close("bad-notify");
    // Work that comes before the extranonce cannot be worked on; the pool sends it again after its reply.
    if (this.#extranonce === undefined) return;
    const target = targetFromDifficulty(this.#difficulty);
    const frozen = { versionMask: this.#versionMask, difficulty: this.#difficulty, target };
    this.#emit({ type: "job", job: { ...job, ...this.#extranonce, ...frozen } });
  }

  #onSetDifficulty(params: readonly unknown[]): void {
    const difficulty = readSetDifficulty(params);
    if (difficulty === undefined) return this.#close("bad-difficulty");
    this.#difficulty = difficulty;
    this.#emit({ type: "difficulty", difficulty });
  }

  #onSetExtranonce(params: readonly unknown[]): void {
    const extranonce = readSetExtranonce(params);
    if (extranonce === undefined) return this.#close("bad-extranonce");
    this.#extranonce = extranonce;
    this.#emit({ type: "extranonce", ...extranonce });
  }

  #onSetVersionMask(params: readonly unknown[]): void {
    const mask = readVersionMask(params);
    if (mask === undefined) return this.#close("bad-version-mask");
    if (this.#options.versionRolling) this.#setMask(mask);
  }

  #onResponse(response: Sv1Response): void {
    const pending = this.#pending.get(response.id);
    if (pending === undefined) return;
    this.#pending.delete(response.id);
    switch (pending.kind) {
      case "configure":
        return this.#setMask(readGrantedMask(response.result));
      case "subscribe":
        return this.#onSubscribed(response);
      case "authorize": {
        const rejection = readRejection(response.result, response.error);
        this.#authorized = rejection === undefined;
        return this.#emit({ type: "authorized", accepted: this.#authorized, reason: rejection?.reason ?? "" });
      }
      case "submit": {
        this.#submitsPending--;
        const rejection = readRejection(response.result, response.error);
        const outcome =
          rejection === undefined ? ({ kind: "accepted" } as const) : ({ kind: "rejected", ...rejection } as const);
        return this.#emit({ type: "submit-result", submit: pending.submit, outcome });
      }
      case "other":
        return;
      default:
        pending satisfies never;
    }
  }

  #onSubscribed(response: Sv1Response): void {
    if (response.error !== null) return this.#close("subscribe-refused");
    const extranonce = readSubscribeResult(response.result);
    if (extranonce === undefined) return this.#close("bad-extranonce");
    this.#extranonce = extranonce;
    this.#emit({ type: "subscribed", ...extranonce });
  }

  #setMask(mask: number): void {
    this.#versionMask = mask;
    this.#emit({ type: "version-mask", mask });
  }

  #settle(submit: Sv1ClientSubmit, reason: "timeout" | "too-many-pending"): void {
    this.#emit({ type: "submit-result", submit, outcome: { kind: "lost", reason } });
  }

  #request(pending: Pending, method: string, params: readonly unknown[]): void {
    const id = String(this.#nextId++);
    this.#pending.set(id, pending);
    this.#send(`{"id":${id},"method":"${method}","params":${JSON.stringify(params)}}`);
  }

  #send(line: string): void {
    this.#emit({ type: "send", line });
  }

  #close(reason: Sv1ClientCloseReason): void {
    this.#closed = true;
    this.#pending.clear();
    this.#emit({ type: "close", reason });
  }

  #emit(effect: Sv1ClientEffect): void {
    this.#effects.push(effect);
  }
}
