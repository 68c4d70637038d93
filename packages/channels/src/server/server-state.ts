import { scriptSigSizeOf, type Target, targetFromHashrate } from "@adit/bitcoin";
import type { MiningMessage, OpenExtendedMiningChannel, OpenStandardMiningChannel } from "@adit/codec";
import type { Channel } from "./channel.ts";
import type { Connection } from "./connection.ts";
import type { CustomJobErrorCode } from "./custom-job.ts";
import type { WaitingCustomJob } from "./custom-job-intake.ts";
import type { ConnectionId, MiningServerOptions, ServerEffect, ShareErrorCode } from "./effects.ts";
import { ExtranonceAllocator } from "./extranonce-allocator.ts";
import { HeldWork } from "./held-work.ts";
import { type ChainTip, JobStore } from "./job-store.ts";
import { RememberedHashrates } from "./remembered-hashrates.ts";
import { SeenShares } from "./seen-shares.ts";

/** A request to open a channel, of either kind. */
export type OpenRequest = OpenStandardMiningChannel | OpenExtendedMiningChannel;

/** Everything the server knows, with what the running `handle` call gathers. */
export interface ServerState {
  /** As constructed. */
  readonly options: MiningServerOptions;
  /** Easiest target of any channel. */
  readonly floorTarget: Target;
  /** Hardest target of any channel, whatever its hashrate; undefined for no such bound. */
  hardestTarget: Target | undefined;
  /** Connections that are set up. */
  readonly connections: Map<ConnectionId, Connection>;
  /** Jobs that all channels share. */
  readonly jobs: JobStore;
  /** Work that came faster than channels are told of it. */
  readonly held: HeldWork;
  /** When it was last said that work comes too fast, Unix milliseconds. */
  heldSaidAt: number;
  /** Extranonce prefixes. */
  readonly allocator: ExtranonceAllocator;
  /** Duplicates. */
  readonly seen: SeenShares;
  /** Hashrates of channels that went. */
  readonly remembered: RememberedHashrates;
  /** Open requests that wait for the first job, in order. */
  pendingOpens: { readonly connection: ConnectionId; readonly request: OpenRequest }[];
  /** Custom jobs that wait for their tip, oldest first. */
  waitingCustomJobs: WaitingCustomJob[];
  /** The current tip. */
  tip: ChainTip | undefined;
  /** Template of a tip that no job could be announced for; the next template will be announced with it. */
  unannouncedTemplate: bigint | undefined;
  /** Activation number of the newest job. */
  serial: number;
  /** Id of the next job. */
  nextJobId: number;
  /** Header hashes of the last blocks handed out, so that each is handed out once. */
  submittedBlocks: Uint8Array[];
  /** Totals since start, over channels that are gone as well. */
  readonly totals: ServerTotals;
  /** Time of the running call, Unix milliseconds. */
  now: number;
  /** Effects of the running call, in order. */
  effects: ServerEffect[];
}

/** What was counted since the server started. */
export interface ServerTotals {
  /** Shares recorded. */
  accepted: number;
  /** Shares refused, by error code. */
  readonly rejected: Map<ShareErrorCode, number>;
  /** Sum of the recorded shares' work. */
  work: bigint;
  /** Blocks handed to the template provider. */
  blocks: number;
  /** Templates and tips that came too fast to be told at once. */
  held: number;
  /** Custom jobs taken. */
  customJobs: number;
  /** Custom jobs refused, by error code. */
  readonly refusedCustomJobs: Map<CustomJobErrorCode, number>;
  /** Shares recorded of custom jobs. */
  customShares: number;
}

/** A server that knows nothing yet. RangeError or BitcoinError when options are out of range. */
export function newServerState(options: MiningServerOptions): ServerState {
  // No template could make this smaller, so a tag that is too long shows at start and not at the first template.
  const { coinbaseTag: tag, extranonce } = options;
  scriptSigSizeOf({ scriptSigPrefix: new Uint8Array(0), tag, extranonceSize: extranonce.totalSize });
  return {
    options,
    floorTarget: targetFromHashrate(options.minHashrate, options.sharesPerMinute),
    hardestTarget: undefined,
    connections: new Map(),
    jobs: new JobStore(options.limits),
    held: new HeldWork(options.limits),
    heldSaidAt: Number.NEGATIVE_INFINITY,
    allocator: new ExtranonceAllocator(options.extranonce),
    seen: new SeenShares(options.limits),
    remembered: new RememberedHashrates(options.limits),
    pendingOpens: [],
    waitingCustomJobs: [],
    tip: undefined,
    unannouncedTemplate: undefined,
    serial: 0,
    nextJobId: 1,
    submittedBlocks: [],
    totals: newTotals(),
    now: 0,
    effects: [],
  };
}

function newTotals(): ServerTotals {
  const counts = { accepted: 0, work: 0n, blocks: 0, held: 0, customJobs: 0, customShares: 0 };
  return { ...counts, rejected: new Map(), refusedCustomJobs: new Map() };
}

/** Adds a `send` to one connection. */
export function send(state: ServerState, to: ConnectionId, message: MiningMessage): void {
  state.effects.push({ type: "send", to: [to], message });
}

/** Adds a `log`. */
export function log(
  state: ServerState,
  entry: { readonly level: "debug" | "info" | "warn"; readonly event: string },
  fields: Record<string, unknown>,
): void {
  state.effects.push({ type: "log", ...entry, fields });
}

/** Every open channel. */
export function* allChannels(state: ServerState): Generator<Channel> {
  for (const connection of state.connections.values()) yield* connection.channels.values();
}
