/** A share that a miner has found and sent. All hashes here are hex, as block explorers show them. */
export interface MinedShare {
  readonly hash: string;
  /** Identity that the pool credits. */
  readonly owner: string;
  /** Expected hashes of the target its job came with; undefined behind a translator, whose pool sets another. */
  readonly work: bigint | undefined;
  /** Whether it makes a block as well. */
  readonly isBlock: boolean;
  /** How often its miner was told that it was accepted. */
  acknowledged: number;
  /** Why it was refused, if it was. */
  refused: string | undefined;
}

/** What a direct miner was told on one channel. */
export interface ChannelAccount {
  readonly owner: string;
  /** Work of the shares that were acknowledged. */
  work: bigint;
  /** Sum of `new_shares_sum`. */
  sum: bigint;
}

/** What the miners know. */
export interface MinersBooks {
  readonly shares: ReadonlyMap<string, MinedShare>;
  readonly channels: readonly ChannelAccount[];
  /** Answers and messages that no pool may give, by how often. */
  readonly faults: ReadonlyMap<string, number>;
}

/** What the translator has written into its log. */
export interface TranslatorBooks {
  /** Shares the pool has acknowledged to it. */
  readonly acknowledged: ReadonlySet<string>;
  /** Shares the pool has refused, with its reason. */
  readonly refused: ReadonlyMap<string, string>;
  /** Shares that it sent and that were not answered before its connection or itself ended. */
  readonly inDoubt: ReadonlySet<string>;
  /** Acknowledgements that name another number of shares than were open. */
  readonly faults: readonly string[];
}

/** Shares and work of one worker. */
export interface Sum {
  readonly owner: string;
  readonly worker: string;
  readonly shares: number;
  readonly work: bigint;
}

/** What is in the pool's share store. */
export interface StoreBooks {
  /** What SQLite finds wrong with the file. */
  readonly damage: readonly string[];
  readonly shares: readonly {
    readonly hash: string;
    readonly owner: string;
    readonly worker: string;
    readonly work: bigint;
  }[];
  readonly workers: readonly Sum[];
  /** By worker and minute. */
  readonly minutes: readonly Sum[];
  readonly blocks: readonly { readonly hash: string; readonly height: number | null; readonly result: string }[];
}

/** A block in the template provider's file. */
export interface ChainBlock {
  readonly hash: string;
  readonly prevHash: string;
  readonly height: number;
}

/** What pool and template provider have written into their logs. */
export interface LogBooks {
  /** Blocks the pool says its miners found. */
  readonly found: readonly string[];
  /** Blocks the template provider says it connected. */
  readonly connected: readonly string[];
  /** What was wrong with solutions that the template provider refused. */
  readonly refusedSolutions: readonly (readonly string[])[];
}

/** Everyone's books. */
export interface Books {
  readonly miners: MinersBooks;
  readonly translator: TranslatorBooks;
  readonly store: StoreBooks;
  readonly chain: readonly ChainBlock[];
  readonly logs: LogBooks;
}
