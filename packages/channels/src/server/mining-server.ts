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
import type { MiningServerOptions, ServerEffect, ServerInput } from "./effects.ts";
import { onTick } from "./housekeeping.ts";
import { log, newServerState, type ServerState, send } from "./server-state.ts";
import { onShare, onShareRecorded } from "./share-intake.ts";
import { type MiningServerStatus, statusOf } from "./status.ts";
import { onPrevHash, onTemplate, tellHeld } from "./template-intake.ts";

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

  /** Takes one input at `now` (Unix milliseconds) and says what to do. Never throws for what a peer sent. */
  handle(input: ServerInput, now: number): readonly ServerEffect[] {
    const state = this.#state;
    state.now = now;
    state.effects = [];
    dispatch(state, input);
    return state.effects;
  }

  /** The job mined now, if there is one. */
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
    case "connected": {
      const { connection: id, flags, extensions } = input;
      state.connections.set(id, new Connection({ id, flags, extensions }, state.options.limits, state.now));
      return;
    }
    case "message":
      return onMessage(state, input);
    case "disconnected": {
      const connection = state.connections.get(input.connection);
      if (connection !== undefined) removeConnection(state, connection);
      return;
    }
    case "template":
      onTemplate(state, input.template);
      return openPending(state);
    case "prev-hash":
      onPrevHash(state, input.prevHash);
      return openPending(state);
    case "template-source-lost":
      state.held.clear();
      return log(state, { level: "warn", event: "template-source-lost" }, { jobId: state.jobs.active?.id });
    case "share-recorded":
      return onShareRecorded(state, input.share, input.result);
    case "rotate-extranonce-prefix":
      return rotateExtranoncePrefix(state, input.connection, input.channelId);
    case "tick":
      tellHeld(state);
      openPending(state);
      return onTick(state);
    default:
      return input satisfies never;
  }
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
    case "SetCustomMiningJob": {
      const { channelId, requestId } = message;
      send(state, id, { name: "SetCustomMiningJobError", channelId, requestId, errorCode: "jd-not-supported" });
      connection.ladder.count("excess");
      return endFlood(state, connection);
    }
    default:
      return refuseServerMessage(state, connection, message);
  }
}

/** Only a server may send what is left: the peer has the protocol the wrong way round. */
function refuseServerMessage(state: ServerState, connection: Connection, message: MiningMessage): void {
  closeConnection(state, connection, `unexpected message ${message.name}`);
}
