import { type Hash, hash, type ShareHashing, type Target, targetToBytes } from "@adit/bitcoin";

/** Where a job is in its life: waiting for a prevhash, the one to mine, superseded on the same tip, or of a dead tip. */
export type ClientJobState = "future" | "active" | "past" | "stale";

/** A job as a miner or proxy works on it (spec 5.1). The object lives as long as the job: read members when needed. */
export interface ClientJob {
  /** Server's identifier, unique among the valid jobs of a channel. */
  readonly jobId: number;
  /** Largest hash that counts as a share. Frozen when the job becomes active; until then the channel's target. */
  readonly target: Target;
  /** `target` as 32 bytes, little-endian. */
  readonly targetBytes: Uint8Array;
  /** Block header version. */
  readonly version: number;
  /**
   * Whether the BIP323 bits of the version may be changed. Always true for `NewMiningJob`, which does not say (spec
   * 5.3.15); REQUIRES_FIXED_VERSION of the connection forbids it all the same.
   */
  readonly versionRollingAllowed: boolean;
  /** Hash of the previous block, internal order; 32 zero bytes until active. */
  readonly prevHash: Hash;
  /** Compact network target; 0 until active. */
  readonly nbits: number;
  /** Smallest ntime to mine with, in unix seconds; 0 until active. */
  readonly minNtime: number;
  /** Extranonce prefix that was in force when the job was received (spec 5.3.10). */
  readonly extranoncePrefix: Uint8Array;
  /** Where the job is in its life. */
  readonly state: ClientJobState;
  /** Standard channels only: merkle root, internal order. Computed at the first read if a group's job brought it. */
  readonly merkleRoot: Hash | undefined;
  /** Extended jobs only: coinbase bytes in front of the extranonce prefix, without BIP141 fields. */
  readonly coinbaseTxPrefix: Uint8Array | undefined;
  /** Extended jobs only: coinbase bytes behind the extranonce. */
  readonly coinbaseTxSuffix: Uint8Array | undefined;
  /** Extended jobs only: siblings of the coinbase in the merkle tree, internal order, deepest first. */
  readonly merklePath: readonly Hash[] | undefined;
}

/** Coinbase and merkle path of a `NewExtendedMiningJob`, shared by all members of the group it went to. */
export interface ExtendedWork {
  readonly kind: "extended";
  readonly coinbaseTxPrefix: Uint8Array;
  readonly coinbaseTxSuffix: Uint8Array;
  readonly merklePath: readonly Hash[];
}

/** Merkle root of a `NewMiningJob`. */
export interface StandardWork {
  readonly kind: "standard";
  readonly merkleRoot: Hash;
}

/** What a job message brought, copied out of the receive buffer. `minNtime` is null for a future job. */
export interface ReceivedJob {
  readonly jobId: number;
  readonly version: number;
  readonly versionRollingAllowed: boolean;
  readonly minNtime: number | null;
  readonly work: ExtendedWork | StandardWork;
}

/** The block that jobs build on (spec 5.3.17). */
export interface Tip {
  readonly prevHash: Hash;
  readonly nbits: number;
}

/** The part of a channel that a job of its reads: the target may still change while the job is future. */
export interface JobOwner {
  readonly kind: "standard" | "extended";
  readonly target: Target;
  readonly extranoncePrefix: Uint8Array;
}

const NO_TIP: Tip = { prevHash: hash(new Uint8Array(32)), nbits: 0 };

/** A job of one channel, from receipt to its end. */
export class TrackedJob implements ClientJob {
  readonly jobId: number;
  readonly version: number;
  readonly versionRollingAllowed: boolean;
  readonly extranoncePrefix: Uint8Array;
  readonly #owner: JobOwner;
  readonly #work: ExtendedWork | StandardWork;
  readonly #hashing: ShareHashing;
  #state: ClientJobState = "future";
  #tip: Tip = NO_TIP;
  #minNtime = 0;
  #frozen: { readonly target: Target; readonly bytes: Uint8Array } | undefined;
  #merkleRoot: Hash | undefined;

  constructor(received: ReceivedJob, owner: JobOwner, hashing: ShareHashing) {
    this.jobId = received.jobId;
    this.version = received.version;
    this.versionRollingAllowed = received.versionRollingAllowed;
    this.extranoncePrefix = owner.extranoncePrefix;
    this.#owner = owner;
    this.#work = received.work;
    this.#hashing = hashing;
  }

  get state(): ClientJobState {
    return this.#state;
  }

  get target(): Target {
    return this.#frozen?.target ?? this.#owner.target;
  }

  get targetBytes(): Uint8Array {
    return this.#frozen?.bytes ?? targetToBytes(this.#owner.target);
  }

  get prevHash(): Hash {
    return this.#tip.prevHash;
  }

  get nbits(): number {
    return this.#tip.nbits;
  }

  get minNtime(): number {
    return this.#minNtime;
  }

  get coinbaseTxPrefix(): Uint8Array | undefined {
    return this.#work.kind === "extended" ? this.#work.coinbaseTxPrefix : undefined;
  }

  get coinbaseTxSuffix(): Uint8Array | undefined {
    return this.#work.kind === "extended" ? this.#work.coinbaseTxSuffix : undefined;
  }

  get merklePath(): readonly Hash[] | undefined {
    return this.#work.kind === "extended" ? this.#work.merklePath : undefined;
  }

  get merkleRoot(): Hash | undefined {
    if (this.#work.kind === "standard") return this.#work.merkleRoot;
    if (this.#owner.kind !== "standard") return undefined;
    this.#merkleRoot ??= this.#hashing.merkleRoot(this.#coinbase(this.#work), this.#work.merklePath);
    return this.#merkleRoot;
  }

  /** Starts the job on this tip and freezes the channel's target for it (spec 5.3.21). */
  activate(tip: Tip, minNtime: number): void {
    this.#state = "active";
    this.#tip = tip;
    this.#minNtime = minNtime;
    this.#frozen = { target: this.#owner.target, bytes: targetToBytes(this.#owner.target) };
  }

  /** Ends the job: superseded on its tip, or with its tip. */
  retire(state: "past" | "stale"): void {
    this.#state = state;
  }

  #coinbase({ coinbaseTxPrefix, coinbaseTxSuffix }: ExtendedWork): Uint8Array {
    const parts = [coinbaseTxPrefix, this.extranoncePrefix, coinbaseTxSuffix];
    const coinbase = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
    let at = 0;
    for (const part of parts) {
      coinbase.set(part, at);
      at += part.length;
    }
    return coinbase;
  }
}
