import type { ServerEffect, ServerInput } from "@adit/channels";

/** What a {@link MiningShell} itself tells its core. */
export type MinerInput = Extract<ServerInput, { readonly type: "connected" | "message" | "disconnected" | "tick" }>;

/** What a {@link MiningShell} itself performs. */
export type MinerEffect = Extract<ServerEffect, { readonly type: "send" | "close-connection" | "log" }>;

/**
 * What serves miners, without sockets and clocks: a `MiningServer`, or a larger core of a role that has one in it.
 * `Input` and `Effect` are what the role adds to a {@link MiningShell}'s own.
 */
export interface MiningCore<Input, Effect> {
  /** Takes one input at `now` (Unix milliseconds) and says what to do, in order. Must not throw for what a peer sent. */
  handle(input: Input | MinerInput, now: number): readonly (Effect | MinerEffect)[];
}

/** Whether an effect is for the shell to perform. */
export function isMinerEffect(effect: { readonly type: string }): effect is MinerEffect {
  return effect.type === "send" || effect.type === "close-connection" || effect.type === "log";
}
