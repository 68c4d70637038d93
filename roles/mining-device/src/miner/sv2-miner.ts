import { pureHashing } from "@adit/bitcoin";
import { type ClientChannel, type ClientEvent, type ClientJob, MiningClient } from "@adit/channels";

import { type CommonMessage, type MiningMessage, u256 } from "@adit/codec";
import { ROLLABLE_VERSION_BITS } from "@adit/sv1";
import type { Share, Work } from "../work/work.ts";
import type { Miner, MinerEffect } from "./miner-effect.ts";
import { PendingShares } from "./pending-shares.ts";
import { PoolPatience } from "./pool-patience.ts";
import { rejectReason } from "./reasons.ts";

/** Which channel to open, and as whom. */
export interface Sv2MinerOptions {
  /** `standard`: headers only; `extended`: the miner rolls an extranonce too. */
  readonly kind: "standard" | "extended";
  readonly userIdentity: string;
  /** Hashes a second that the open request announces. */
  readonly nominalHashrate: number;
  /** Roll version bits where the job allows it: those of BIP320, which are within what BIP323 pools take. */
  readonly versionRolling: boolean;
}

/** What happens to a Stratum V2 miner. */
export type Sv2MinerInput =
  /** The connection is set up. Once, before anything else. */
  | { readonly type: "connected" }
  | { readonly type: "message"; readonly message: MiningMessage | CommonMessage }
  /** A share was found for work that this miner gave out. */
  | { readonly type: "share"; readonly share: Share }
  /** Time passes; about once a second. */
  | { readonly type: "tick" }
  /** The connection has ended. Once, after everything else. */
  | { readonly type: "disconnected" };

type Effect = MinerEffect<MiningMessage>;
type Accepted = Extract<ClientEvent, { type: "shares-accepted" }>;
type Fault = Extract<ClientEvent, { type: "protocol-fault" }>;
type Rejected = Extract<ClientEvent, { type: "share-rejected" }>;

const REQUEST_ID = 1;
/** What the miner asks for; pools give more. */
const MIN_EXTRANONCE_SIZE = 4;
const OPEN_TIMEOUT_MS = 30_000;
/** Pools batch their acknowledgements for some seconds. */
const ANSWER_TIMEOUT_MS = 120_000;
const ANY_TARGET = new Uint8Array(32).fill(0xff);

/** One Stratum V2 connection with one channel: turns jobs into work and shares into submits, and accounts for the answers. */
export class Sv2Miner implements Miner<Sv2MinerInput, MiningMessage> {
  readonly #options: Sv2MinerOptions;
  readonly #client = new MiningClient();
  readonly #pending = new PendingShares<number>();
  #openedAt: number | undefined;
  #patience = new PoolPatience(0);
  #channel: ClientChannel | undefined;
  #epoch = 0;

  constructor(options: Sv2MinerOptions) {
    this.#options = options;
  }

  handle(input: Sv2MinerInput, now: number): readonly Effect[] {
    const effects = this.#effectsOf(input, now);
    const turn = this.#pending.turn();
    return turn === undefined ? effects : [...effects, { type: turn }];
  }

  #effectsOf(input: Sv2MinerInput, now: number): readonly Effect[] {
    switch (input.type) {
      case "connected":
        this.#openedAt = now;
        this.#patience = new PoolPatience(now);
        return [{ type: "send", message: this.#openRequest() }];
      case "message":
        return this.#onMessage(input.message, now);
      case "share":
        return this.#submit(input.share, now);
      case "tick":
        return this.#onTick(now);
      case "disconnected":
        return this.#giveUp("connection-ended", now);
      default:
        return input satisfies never;
    }
  }

  #openRequest(): MiningMessage {
    const { kind, userIdentity, nominalHashrate: nominalHashRate } = this.#options;
    const request = { requestId: REQUEST_ID, userIdentity, nominalHashRate, maxTarget: u256(ANY_TARGET) };
    if (kind === "standard") return this.#client.openStandard(request);
    return this.#client.openExtended({ ...request, minExtranonceSize: MIN_EXTRANONCE_SIZE });
  }

  #onMessage(message: MiningMessage | CommonMessage, now: number): readonly Effect[] {
    const mined = this.#channel?.activeJob !== undefined;
    const effects = this.#client.handle(message, now).flatMap((event) => this.#meaningOf(event, now));
    // A new tip without a job for it ends the old job all the same.
    if (!mined || this.#channel?.activeJob !== undefined) return effects;
    this.#epoch++;
    return [...effects, { type: "no-work" }];
  }

  #meaningOf(event: ClientEvent, now: number): readonly Effect[] {
    switch (event.type) {
      case "opened":
        this.#channel = event.channel;
        return [];
      case "open-refused":
        return [{ type: "close", reason: `the pool refused the channel: ${event.errorCode}` }];
      case "job":
        if (event.clean) this.#epoch++;
        return [{ type: "work", work: this.#workOf(event.channel, event.job, now) }];
      case "shares-accepted":
        return this.#onAccepted(event, now);
      case "share-rejected":
        return this.#onRejected(event, now);
      case "channel-closed":
        return [{ type: "close", reason: `the pool closed the channel: ${event.reasonCode}` }];
      case "reconnect":
        return [{ type: "reconnect", to: { newHost: event.host, newPort: event.port } }];
      case "protocol-fault":
        return this.#onFault(event, now);
      default:
        // Future jobs, targets and prefixes show in the job that they take effect with.
        return [];
    }
  }

  #onFault({ code, detail }: Fault, now: number): readonly Effect[] {
    const noted: Effect = { type: "log", level: "debug", event: "protocol fault", fields: { code, detail } };
    const reason = this.#patience.broke(now, code);
    return reason === undefined ? [noted] : [noted, { type: "close", reason }];
  }

  #onAccepted({ lastSequenceNumber, count }: Accepted, now: number): readonly Effect[] {
    const times = this.#pending.settleThrough(lastSequenceNumber, now);
    if (times.length > 0) this.#patience.answered();
    const answered = times.map((ms): Effect => ({ type: "answered", ms }));
    return [...answered, { type: "accepted", count }];
  }

  #onRejected({ sequenceNumber, errorCode }: Rejected, now: number): readonly Effect[] {
    const ms = this.#pending.settle(sequenceNumber, now);
    const rejected: Effect = { type: "rejected", reason: rejectReason(errorCode) };
    if (ms !== undefined) this.#patience.answered();
    return ms === undefined ? [rejected] : [{ type: "answered", ms }, rejected];
  }

  #submit({ work, extranonce, ...choice }: Share, now: number): readonly Effect[] {
    const channel = this.#channel;
    if (channel?.open !== true || work.epoch !== this.#epoch) return [];
    if (this.#pending.isFull) return [{ type: "lost", reason: "too-many-pending", count: 1 }];
    const found = { jobId: (work.job as ClientJob).jobId, ...choice };
    const message =
      channel.kind === "standard" ? channel.submitStandard(found) : channel.submitExtended({ ...found, extranonce });
    this.#pending.add(message.sequenceNumber, now);
    return [{ type: "submitted" }, { type: "send", message }];
  }

  #onTick(now: number): readonly Effect[] {
    const waited = now - (this.#openedAt ?? now);
    if (this.#channel === undefined && waited >= OPEN_TIMEOUT_MS) {
      return [{ type: "close", reason: "the pool did not answer the request for a channel" }];
    }
    const working = this.#channel?.activeJob !== undefined;
    const reason = this.#patience.tick(now, { working, resting: this.#pending.paused });
    if (reason !== undefined) return [{ type: "close", reason }];
    return this.#giveUp("timeout", now - ANSWER_TIMEOUT_MS);
  }

  #giveUp(reason: "timeout" | "connection-ended", sentBy: number): readonly Effect[] {
    const count = this.#pending.expire(sentBy);
    return count === 0 ? [] : [{ type: "lost", reason, count }];
  }

  #workOf(channel: ClientChannel, job: ClientJob, now: number): Work<ClientJob> {
    const { extranonceSize } = channel;
    return {
      job,
      epoch: this.#epoch,
      version: job.version,
      versionMask: this.#options.versionRolling && job.versionRollingAllowed ? ROLLABLE_VERSION_BITS : 0,
      prevHash: job.prevHash,
      nbits: job.nbits,
      minNtime: job.minNtime,
      receivedAt: now,
      target: job.targetBytes,
      extranonceSize,
      merkleRoot: (extranonce) => merkleRootOf(job, extranonce),
    };
  }
}

function merkleRootOf(job: ClientJob, extranonce: Uint8Array): Uint8Array {
  if (job.merkleRoot !== undefined) return job.merkleRoot;
  const { coinbaseTxPrefix = NOTHING, extranoncePrefix, coinbaseTxSuffix = NOTHING, merklePath = [] } = job;
  const parts = [coinbaseTxPrefix, extranoncePrefix, extranonce, coinbaseTxSuffix];
  const coinbase = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
  let at = 0;
  for (const part of parts) {
    coinbase.set(part, at);
    at += part.length;
  }
  return pureHashing.merkleRoot(coinbase, merklePath);
}

const NOTHING = new Uint8Array(0);
