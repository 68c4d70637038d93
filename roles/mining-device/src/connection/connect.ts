import type { StreamInfo } from "@adit/network-helpers";
import type { DialledUpstream } from "@adit/role-network";
import type { MiningDeviceConfig } from "../config.ts";
import type { MinerHostOptions } from "./miner-host.ts";

/** What one try of one connection is made with. */
export interface ConnectOptions
  extends Pick<MinerHostOptions<never, never>, "engine" | "log" | "onNews" | "onWork" | "onReconnect"> {
  readonly config: MiningDeviceConfig;
  /** The connection's number, from 1. */
  readonly number: number;
  readonly signal: AbortSignal;
  /** Where to connect, and over what. */
  readonly upstream: DialledUpstream;
  /** Called once the connection is there, with what tells its counters. Resolves when it is to be mined on. */
  readonly onOpen: (info: () => StreamInfo) => Promise<void>;
}

/** One try: connects, mines, and resolves or rejects when the connection has ended. */
export type Connect = (options: ConnectOptions) => Promise<void>;
