import type { Hash, ShareHashing, Target, TxOutput, Work } from "@adit/bitcoin";
import type { MiningMessage, NewTemplate, SubmitSolution, TemplateSetNewPrevHash } from "@adit/codec";
import type { LogEffect } from "../core-outbox.ts";
import type { VardiffOptions } from "../vardiff.ts";
import type { CustomDeclaration, CustomJobPolicy } from "./custom-job.ts";
import type { ActivatedJob, TemplateOrigin } from "./job-store.ts";
import type { ChannelLimits } from "./limits.ts";

/** Names one downstream connection; the shell never gives the same number twice. */
export type ConnectionId = number;

/** What every extranonce of a server has in common. */
export interface ExtranonceBase {
  /** Bytes of the whole extranonce, the same for every channel, at most 32. */
  readonly totalSize: number;
  /** First bytes of every extranonce: what tells several servers of one operator apart, or an upstream's own prefix. */
  readonly prefix: Uint8Array;
}

/** How the full extranonce of every channel is divided: prefix of all, index of the channel, rollable bytes. */
export interface ExtranonceOptions extends ExtranonceBase {
  /** Bytes of the channel's index, 1 to 3. */
  readonly indexSize: number;
  /** First index to try; the shell draws it at random, so that a restart does not repeat prefixes. */
  readonly start: number;
}

/** What a {@link MiningServer} is made with. */
export interface MiningServerOptions {
  /** Hashing of shares. */
  readonly hashing: ShareHashing;
  /** Division of the extranonce. */
  readonly extranonce: ExtranonceOptions;
  /** The role's coinbase outputs for a template; their sum must be `coinbaseTxValueRemaining`. */
  readonly rewardOutputs: (template: NewTemplate) => readonly TxOutput[];
  /** Printable text put into the coinbase script, `pool_signature` in configuration. */
  readonly coinbaseTag: string;
  /** Share rate each channel is held at. */
  readonly sharesPerMinute: number;
  /** Recorded shares after which a `SubmitShares.Success` is sent. */
  readonly shareBatchSize: number;
  /** Longest wait in milliseconds before recorded shares are acknowledged. */
  readonly ackIntervalMs: number;
  /** Hashes a second at which the easiest target of this server gives `sharesPerMinute`. */
  readonly minHashrate: number;
  /** Difficulty adjustment, or null for targets that follow only the nominal hashrate. */
  readonly vardiff: VardiffOptions | null;
  /** Whether miners may roll the version bits of {@link VERSION_ROLLING_MASK}. */
  readonly versionRollingAllowed: boolean;
  /** Bounds. */
  readonly limits: ChannelLimits;
  /** How custom jobs are dealt with; null answers `SetCustomMiningJob` with `jd-not-supported`. */
  readonly customJobs: CustomJobPolicy | null;
}

/** Error codes of `SubmitShares.Error`, spelt as on the wire. */
export type ShareErrorCode =
  /** No such channel on this connection, or the message is of the other channel kind. */
  | "invalid-channel-id"
  /** The job belongs to an earlier tip. */
  | "stale-share"
  /** The job was never given to this channel for mining, or is forgotten. */
  | "invalid-job-id"
  /** The extranonce has not the size given when the channel was opened. */
  | "bad-extranonce-size"
  /** ntime is outside the allowed window. */
  | "invalid-share"
  /** The version differs from the job's and version rolling is off. */
  | "version-rolling-not-allowed"
  /** A version bit outside the rollable mask differs from the job's. */
  | "invalid-non-rollable-version-bit"
  /** The hash is above the target its job was sent with. */
  | "difficulty-too-low"
  /** The same header hash was credited before. */
  | "duplicate-share"
  /** The share could not be stored; it may be sent again. */
  | "share-not-recorded"
  /** More shares than the channel's difficulty can explain. */
  | "share-rate-exceeded"
  /** The memory for duplicates of this tip is used up. */
  | "too-many-shares";

/** What identifies one submitted share. */
export interface ShareRef {
  /** Connection it came from. */
  readonly connection: ConnectionId;
  /** Channel it was submitted on. */
  readonly channelId: number;
  /** The client's number for it. */
  readonly sequenceNumber: number;
  /** Header hash, internal order. */
  readonly hash: Hash;
}

/** A share that is to be recorded and then credited. */
export interface AcceptedShare extends ShareRef {
  /** Tip it was mined on. */
  readonly prevHash: Hash;
  /** Identity the channel was opened with. */
  readonly userIdentity: string;
  /** Worker named by extension 0x0002, if negotiated and sent. */
  readonly worker: string | undefined;
  /** Credit: expected hashes of the target its job was sent with. */
  readonly work: Work;
  /** The same target as a difficulty, for people. */
  readonly difficulty: number;
  /** Difficulty of the hash itself, for best-difficulty statistics. */
  readonly shareDifficulty: number;
  /** The header's time. */
  readonly ntime: number;
  /** The header's nonce. */
  readonly nonce: number;
  /** The header's version. */
  readonly version: number;
  /** The whole extranonce, every prefix included. */
  readonly extranonce: Uint8Array;
  /** Whether the hash met the network target too. */
  readonly isBlock: boolean;
  /** Its job. */
  readonly jobId: number;
  /** The job whose search it is of: the same for a job and its repetitions with a later nTime. */
  readonly workId: number;
  /** What its job was declared with; undefined for a job of this server. */
  readonly declaration: CustomDeclaration | undefined;
  /** When it came in, Unix milliseconds. */
  readonly receivedAt: number;
}

/** A header that meets the network target of its job's tip. */
export interface FoundBlock {
  /** Header hash, internal order. */
  readonly hash: Hash;
  /** The 80-byte header. */
  readonly header: Uint8Array;
  /** The coinbase transaction with its witness. */
  readonly coinbase: Uint8Array;
  /** Height named by the template's coinbase prefix (BIP34), if it could be read. */
  readonly height: number | undefined;
  /** Template the block completes; undefined when a client has chosen its transactions. */
  readonly templateId: bigint | undefined;
  /** What its job was declared with; undefined for a job of this server. */
  readonly declaration: CustomDeclaration | undefined;
  /** The job whose search it is of. */
  readonly workId: number;
  /** The whole extranonce, every prefix included. */
  readonly extranonce: Uint8Array;
  /** Connection it came from. */
  readonly connection: ConnectionId;
  /** Channel it came from. */
  readonly channelId: number;
  /** Identity the channel was opened with. */
  readonly userIdentity: string;
  /** Worker named by extension 0x0002. */
  readonly worker: string | undefined;
  /** Block it builds on. */
  readonly prevHash: Hash;
}

/** Everything that can happen to the server. */
export type ServerInput =
  /** A connection finished SetupConnection with these flags and negotiated extensions. */
  | {
      readonly type: "connected";
      readonly connection: ConnectionId;
      readonly flags: number;
      readonly extensions: ReadonlySet<number>;
    }
  /** A mining message came in; `worker` is the value of the 0x0002 TLV, if any. */
  | {
      readonly type: "message";
      readonly connection: ConnectionId;
      readonly message: MiningMessage;
      readonly worker: string | undefined;
    }
  /** The connection is gone. */
  | { readonly type: "disconnected"; readonly connection: ConnectionId }
  /** The template provider sent a template. */
  | { readonly type: "template"; readonly template: NewTemplate }
  /** The template provider named a new tip. */
  | { readonly type: "prev-hash"; readonly prevHash: TemplateSetNewPrevHash }
  /** The template provider is gone; current jobs go on. */
  | { readonly type: "template-source-lost" }
  /** The store's answer to a `record-share` effect, after the commit. */
  | {
      readonly type: "share-recorded";
      readonly share: AcceptedShare;
      readonly result: "recorded" | "duplicate" | "failed";
    }
  /** Give a channel another extranonce prefix (`SetExtranoncePrefix`), used by its later jobs. */
  | { readonly type: "rotate-extranonce-prefix"; readonly connection: ConnectionId; readonly channelId: number }
  /**
   * Put every channel on another extranonce prefix, and ask again for the reward outputs of all work that is told. Makes
   * `handle` throw RangeError or BitcoinError, with nothing changed, when that does not fit the coinbase script or would
   * leave clients another number of bytes to roll.
   */
  | { readonly type: "rebase"; readonly extranonce: ExtranonceBase }
  /** No channel's target may be harder than this, as shares would be worth less upstream than they cost. */
  | { readonly type: "hardest-target"; readonly target: Target | undefined }
  /** Once a second. */
  | { readonly type: "tick" };

/** Everything the server asks its shell to do, in order. */
export type ServerEffect =
  /** Send one message to these connections; it is the same bytes for all. */
  | { readonly type: "send"; readonly to: readonly ConnectionId[]; readonly message: MiningMessage }
  /** Hand a block to the template provider at once. Comes before the share's own effects. */
  | { readonly type: "submit-solution"; readonly solution: SubmitSolution; readonly block: FoundBlock }
  /** A block on a job that a client declared: whoever has its transactions can build it. Comes as early. */
  | { readonly type: "custom-block"; readonly block: FoundBlock }
  /** A job of this server is the one to mine, and every channel was told. */
  | { readonly type: "job-activated"; readonly job: ActivatedJob<TemplateOrigin> }
  /** Store a share, then answer with `share-recorded`. */
  | { readonly type: "record-share"; readonly share: AcceptedShare }
  /** Count a refused share; its `SubmitShares.Error` is a `send` of its own. */
  | {
      readonly type: "reject-share";
      readonly connection: ConnectionId;
      readonly channelId: number;
      readonly userIdentity: string;
      readonly worker: string | undefined;
      readonly errorCode: ShareErrorCode;
    }
  /** End a connection after what was sent before. */
  | { readonly type: "close-connection"; readonly connection: ConnectionId; readonly reason: string }
  | LogEffect;
