/** What both sides are made with, the first line for channels-peer. */
export interface Settings {
  /** Pool's name in the coinbase script, which the crates write as `Sv2/TAG//`. */
  readonly pool_tag: string;
  readonly shares_per_minute: number;
  readonly share_batch_size: number;
  readonly version_rolling_allowed: boolean;
  readonly full_extranonce_size: number;
  readonly max_past_jobs: number;
}

/** Settings as a pool has them. */
export const settings: Settings = {
  pool_tag: "Adit",
  shares_per_minute: 60,
  share_batch_size: 10,
  version_rolling_allowed: true,
  full_extranonce_size: 20,
  max_past_jobs: 16,
};

/**
 * What both sides are told. Bytes are hex in the order of the wire. Channels have names of the test's own; jobs are named
 * by the template they are made of, so that neither side's job ids matter.
 */
export type Command =
  | OpenCommand
  /** The payload of `NewTemplate`, and the pool's outputs. */
  | { readonly do: "template"; readonly payload: string; readonly outputs: readonly CommandOutput[] }
  /** The payload of the template provider's `SetNewPrevHash`. */
  | { readonly do: "prev_hash"; readonly payload: string }
  /** The payload of a share, whose job id is left open. */
  | { readonly do: "share"; readonly channel: number; readonly template: number; readonly payload: string }
  /** `target` is what follows from the hashrate here; the other side says what follows there, and then takes ours. */
  | {
      readonly do: "update";
      readonly channel: number;
      readonly nominal_hash_rate: number;
      readonly target: string;
    }
  /** The payload of `SetCustomMiningJob`, whose channel is left open. `template` is what shares call its job by. */
  | { readonly do: "custom"; readonly channel: number; readonly template: number; readonly payload: string }
  | { readonly do: "prefix"; readonly channel: number; readonly extranonce_prefix: string }
  | { readonly do: "totals"; readonly channel: number };

/** A pool's output, in satoshis. */
export interface CommandOutput {
  readonly value: number;
  readonly script: string;
}

/** A channel to open; `extranonce_prefix` and `target` are what it gets here, and so there. */
export interface OpenCommand {
  readonly do: "open";
  readonly channel: number;
  readonly extended: boolean;
  /** Whether it is given the jobs of the group. */
  readonly grouped: boolean;
  /** Whether it is given custom jobs and nothing else. */
  readonly custom?: true;
  readonly user_identity: string;
  readonly nominal_hash_rate: number;
  readonly max_target: string;
  readonly extranonce_prefix: string;
  readonly rollable_extranonce_size: number;
  readonly target?: string;
}

/** One answer a command. */
export type Answer =
  /** To "open" and "update": the target that follows from the hashrate. */
  | { readonly target: string }
  /** To "template". */
  | TemplateAnswer
  | ShareAnswer
  /** To "totals". */
  | Totals
  /** Refused, in the code a client is sent or the words of the crates. */
  | { readonly error: string }
  | { readonly panic: true }
  | Readonly<Record<string, never>>;

/** What a template is made into. */
export interface TemplateAnswer {
  /** Payload of the group's `NewExtendedMiningJob`; null when nobody is there to be told. */
  readonly group: string | null;
  /** By channel: payload of its `NewMiningJob`; of a grouped one the merkle root, if it is a standard channel. */
  readonly channels: Readonly<Record<string, string | null>>;
}

/** The verdict on a share. */
export interface ShareAnswer {
  /** Its hash, when it counts. */
  readonly valid?: string;
  /** Why it does not. */
  readonly refused?: string;
  /** The coinbase transaction with its witness, when it is a block; `template` is null for a custom job. */
  readonly block?: { readonly template: number | null; readonly coinbase: string };
}

/** What was counted on a channel. */
export interface Totals {
  readonly accepted: number;
  readonly difficulty_sum: number;
  readonly blocks: number;
  readonly rejected: Readonly<Record<string, number>>;
}
