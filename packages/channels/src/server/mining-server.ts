import type { MiningMessage } from "@adit/codec";
import {
  closeConnection,
  endFlood,
  onClose,
  onUpdate,
  removeConnection,
  rotateExtranoncePrefix,
} from "./channel-control.ts";
import { onOpen, openPending } from "./channel-opening.ts";
import { Connection } from "./connection.ts";
import { judgeWaiting, onCustomJob } from "./custom-job-intake.ts";
import type { MiningServerOptions, ServerEffect, ServerInput } from "./effects.ts";
import { onTick } from "./housekeeping.ts";
import type { ActivatedJob } from "./job-store.ts";
import { rebase, setHardestTarget } from "./rebase.ts";
import { log, newServerState, type ServerState } from "./server-state.ts";
import { onShare, onShareRecorded } from "./share-intake.ts";
import { type MiningServerStatus, statusOf } from "./status.ts";
import { onPrevHash, onTemplate, tellHeld } from "./template-intake.ts";

type PeerInput = Extract<ServerInput, { readonly type: "connected" | "message" | "disconnected" }>;
type ProviderInput = Extract<ServerInput, { readonly type: "template" | "prev-hash" | "template-source-lost" }>;
type RoleInput = Extract<ServerInput, { readonly type: "rotate-extranonce-prefix" | "rebase" | "hardest-target" }>;
type MessageInput = Extract<ServerInput, { readonly type: "message" }>;

/**
 * The server side of the Mining Protocol for all connections of a role: channels, jobs, shares, difficulty. Pure:
 * what happens goes in with the time, what is to be done comes out, in the order in which the shell must do it.
 */
export class MiningServer {
  readonly #state: ServerState;

  /** RangeError or BitcoinError when sizes, rates or the coinbase tag in the options are out of range. */
  constructor(options: MiningServerOptions) {
    this.#state = newServerState(options);
  }

  /**
   * Takes one input at `now` (Unix milliseconds) and says what to do. Never throws for what a peer sent; see `rebase` for
   * the one input of the role itself that may not fit.
   */
  handle(input: ServerInput, now: number): readonly ServerEffect[] {
    const state = this.#state;
    state.now = now;
    state.effects = [];
    dispatch(state, input);
    return state.effects;
  }

  /** The job of this server's own that is mined now, if there is one. */
  get activeJob(): ActivatedJob | undefined {
    return this.#state.jobs.active;
  }

  /** Its id. */
  get activeJobId(): number | undefined {
    return this.#state.jobs.active?.id;
  }

  /** A snapshot for monitoring. */
  status(): MiningServerStatus {
    return statusOf(this.#state);
  }
}

function dispatch(state: ServerState, input: ServerInput): void {
  switch (input.type) {
    case "connected":
    case "message":
    case "disconnected":
      return onPeer(state, input);
    case "template":
    case "prev-hash":
    case "template-source-lost":
      return onProvider(state, input);
    case "share-recorded":
      return onShareRecorded(state, input.share, input.result);
    case "rotate-extranonce-prefix":
    case "rebase":
    case "hardest-target":
      return onRole(state, input);
    case "tick":
      tellHeld(state);
      openPending(state);
      judgeWaiting(state);
      return onTick(state);
    default:
      return input satisfies never;
  }
}

function onProvider(state: ServerState, input: ProviderInput): void {
  if (input.type === "template-source-lost") {
    state.held.clear();
    return log(state, { level: "warn", event: "template-source-lost" }, { jobId: state.jobs.active?.id });
  }
  if (input.type === "template") onTemplate(state, input.template);
  else onPrevHash(state, input.prevHash);
  openPending(state);
  judgeWaiting(state);
}

/** What the role itself asks for. */
function onRole(state: ServerState, input: RoleInput): void {
  if (input.type === "rebase") return rebase(state, input.extranonce);
  if (input.type === "hardest-target") return setHardestTarget(state, input.target);
  rotateExtranoncePrefix(state, input.connection, input.channelId);
}

function onPeer(state: ServerState, input: PeerInput): void {
  if (input.type === "message") return onMessage(state, input);
  if (input.type === "connected") {
    const { connection: id, flags, extensions } = input;
    state.connections.set(id, new Connection({ id, flags, extensions }, state.options.limits, state.now));
    return;
  }
  const connection = state.connections.get(input.connection);
  if (connection !== undefined) removeConnection(state, connection);
}

function onMessage(state: ServerState, { connection: id, message, worker }: MessageInput): void {
  const connection = state.connections.get(id);
  // Closed by us while its last messages were on the way.
  if (connection === undefined) return;
  switch (message.name) {
    case "OpenStandardMiningChannel":
    case "OpenExtendedMiningChannel":
      onOpen(state, connection, message);
      return endFlood(state, connection);
    case "UpdateChannel":
      return onUpdate(state, connection, message);
    case "CloseChannel":
      return onClose(state, connection, message);
    case "SubmitSharesStandard":
    case "SubmitSharesExtended": {
      const named = connection.namesWorkers && message.name === "SubmitSharesExtended";
      return onShare(state, { connection, message, worker: named ? worker : undefined });
    }
    case "SetCustomMiningJob":
      return onCustomJob(state, connection, message);
    default:
      return refuseServerMessage(state, connection, message);
  }
}

/** Only a server may send what is left: the peer has the protocol the wrong way round. */
function refuseServerMessage(state: ServerState, connection: Connection, message: MiningMessage): void {
  closeConnection(state, connection, `unexpected message ${message.name}`);
}
