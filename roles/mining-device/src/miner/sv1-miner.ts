import { pureHashing, targetToBytes } from "@adit/bitcoin";
import {
  coinbaseOf,
  type Sv1ClientEffect,
  type Sv1ClientJob,
  type Sv1ClientOptions,
  Sv1ClientSession,
  type Sv1ClientSubmit,
} from "@adit/sv1";
import type { Share, Work } from "../work/work.ts";
import type { Miner, MinerEffect } from "./miner-effect.ts";
import { PendingShares } from "./pending-shares.ts";
import { PoolPatience } from "./pool-patience.ts";
import { rejectReason } from "./reasons.ts";

/** What happens to a Stratum V1 miner. */
export type Sv1MinerInput =
  /** The connection is there. Once, before anything else. */
  | { readonly type: "connected" }
  /** A line from the pool, without its newline. */
  | { readonly type: "line"; readonly line: string }
  /** A share was found for work that this miner gave out. */
  | { readonly type: "share"; readonly share: Share }
  /** Time passes; about once a second. */
  | { readonly type: "tick" }
  /** The connection has ended. Once, after everything else. */
  | { readonly type: "disconnected" };

type Effect = MinerEffect<string>;
type SubmitResult = Extract<Sv1ClientEffect, { type: "submit-result" }>;

/** One Stratum V1 connection: turns jobs into work and shares into submits, and accounts for the answers. */
export class Sv1Miner implements Miner<Sv1MinerInput, string> {
  readonly #session: Sv1ClientSession;
  readonly #pending = new PendingShares<Sv1ClientSubmit>();
  #authorized = false;
  #patience = new PoolPatience(0);
  #work: Work<Sv1ClientJob> | undefined;

  constructor(options: Sv1ClientOptions) {
    this.#session = new Sv1ClientSession(options);
  }

  handle(input: Sv1MinerInput, now: number): readonly Effect[] {
    const effects = this.#effectsOf(input, now);
    const turn = this.#pending.turn();
    return turn === undefined ? effects : [...effects, { type: turn }];
  }

  #effectsOf(input: Sv1MinerInput, now: number): readonly Effect[] {
    switch (input.type) {
      case "connected":
        this.#patience = new PoolPatience(now);
        return this.#translate(this.#session.handle(input, now), now);
      case "line":
        return this.#translate(this.#session.handle(input, now), now);
      case "tick":
        return [...this.#translate(this.#session.handle(input, now), now), ...this.#judge(now)];
      case "share":
        return this.#submit(input.share, now);
      case "disconnected": {
        const count = this.#pending.expire(now);
        return count === 0 ? [] : [{ type: "lost", reason: "connection-ended", count }];
      }
      default:
        return input satisfies never;
    }
  }

  #judge(now: number): readonly Effect[] {
    const working = this.#authorized && this.#work !== undefined;
    const reason = this.#patience.tick(now, { working, resting: this.#pending.paused });
    return reason === undefined ? [] : [{ type: "close", reason }];
  }

  #submit({ work, extranonce, ntime, nonce, version }: Share, now: number): readonly Effect[] {
    if (work.epoch !== this.#work?.epoch) return [];
    const submit = { job: work.job as Sv1ClientJob, extranonce2: extranonce, ntime, nonce, version };
    this.#pending.add(submit, now);
    return [{ type: "submitted" }, ...this.#translate(this.#session.handle({ type: "submit", submit }, now), now)];
  }

  #translate(effects: readonly Sv1ClientEffect[], now: number): readonly Effect[] {
    return effects.flatMap((effect) => this.#meaningOf(effect, now));
  }

  #meaningOf(effect: Sv1ClientEffect, now: number): readonly Effect[] {
    switch (effect.type) {
      case "send":
        return [{ type: "send", message: effect.line }];
      case "job":
        return this.#take(effect.job, now);
      case "authorized":
        return this.#onAuthorized(effect.accepted);
      case "submit-result":
        return this.#onResult(effect, now);
      case "reconnect":
        // Another host is never followed: plain Stratum V1 cannot tell who asks.
        return [{ type: "close", reason: "the pool asked to reconnect" }];
      case "close":
        return [{ type: "close", reason: effect.reason }];
      case "subscribed":
      case "difficulty":
      case "extranonce":
      case "version-mask":
        return [];
      case "message":
        return [{ type: "log", level: "debug", event: "message from the pool", fields: { text: effect.text } }];
      default:
        return effect satisfies never;
    }
  }

  #take(job: Sv1ClientJob, now: number): readonly Effect[] {
    const last = this.#work;
    const sameTip = last !== undefined && !job.clean && last.prevHash.every((byte, at) => byte === job.prevHash[at]);
    this.#work = workOf(job, { epoch: sameTip ? last.epoch : (last?.epoch ?? 0) + 1, now });
    return this.#authorized ? [{ type: "work", work: this.#work }] : [];
  }

  /** Pools give out work before they know the name, and refuse its shares. */
  #onAuthorized(accepted: boolean): readonly Effect[] {
    if (!accepted) return [{ type: "close", reason: "the pool refused the user name or password" }];
    this.#authorized = true;
    return this.#work === undefined ? [] : [{ type: "work", work: this.#work }];
  }

  #onResult({ submit, outcome }: SubmitResult, now: number): readonly Effect[] {
    const ms = this.#pending.settle(submit, now);
    if (outcome.kind === "lost") return [{ type: "lost", reason: outcome.reason, count: 1 }];
    this.#patience.answered();
    const answered: readonly Effect[] = ms === undefined ? [] : [{ type: "answered", ms }];
    if (outcome.kind === "accepted") return [...answered, { type: "accepted", count: 1 }];
    return [...answered, { type: "rejected", reason: rejectReason(outcome.reason, outcome.code) }];
  }
}

function workOf(job: Sv1ClientJob, { epoch, now }: { epoch: number; now: number }): Work<Sv1ClientJob> {
  return {
    job,
    epoch,
    version: job.version,
    versionMask: job.versionMask,
    prevHash: job.prevHash,
    nbits: job.nbits,
    minNtime: job.ntime,
    receivedAt: now,
    target: targetToBytes(job.target),
    extranonceSize: job.extranonce2Size,
    merkleRoot: (extranonce2) => pureHashing.merkleRoot(coinbaseOf(job, job.extranonce1, extranonce2), job.merklePath),
  };
}
