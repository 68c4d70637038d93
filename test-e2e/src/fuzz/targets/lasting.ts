import { MAX_TARGET, pureHashing, targetToBytes } from "@adit/bitcoin";
import { defaultChannelLimits, MiningClient, MiningClientError, MiningServer } from "@adit/channels";
import { type MiningMessage, u256 } from "@adit/codec";
import { defaultSv1Limits, Sv1ServerSession } from "@adit/sv1";
import fc from "fast-check";
import { sequence } from "../arbitraries.ts";
import { Bench, EASY, EXTRANONCE1, fromMiner, lineFrom, prevHash, template, testJob } from "../inside.ts";
import { type MessageSeed, messageSeed, miningMessage } from "../mining-messages.ts";
import { step, type Target, unlessRefused } from "../target.ts";

// One instance for as long as the process lives, for what only many inputs show: state that nothing bounds. How much the
// process holds is measured between them. A fault here depends on all inputs before it: its seed repeats it, its input does not.

const START = 1_700_000_000_000;
const CONNECTIONS = 12;

interface Happening {
  readonly who: number;
  readonly what: "message" | "come" | "go" | "tick" | "template" | "tip";
  readonly message: MessageSeed;
  readonly line: string;
}

function happenings(sender: "client" | "server"): fc.Arbitrary<readonly Happening[]> {
  return sequence(
    fc.record({
      who: fc.nat(CONNECTIONS - 1),
      what: fc.oneof(
        { weight: 10, arbitrary: fc.constant("message" as const) },
        { weight: 3, arbitrary: fc.constantFrom("come" as const, "go" as const, "tick" as const) },
        { weight: 1, arbitrary: fc.constantFrom("template" as const, "tip" as const) },
      ),
      message: messageSeed(sender),
      line: fc.oneof(
        { weight: 3, arbitrary: fc.constantFrom(...fromMiner) },
        { weight: 1, arbitrary: lineFrom(fromMiner) },
      ),
    }),
    60,
  );
}

/** A mining core to which connections come and from which they go. */
export function lastingServer(): Target<readonly Happening[]> {
  const server = new MiningServer({
    hashing: pureHashing,
    extranonce: { totalSize: 20, prefix: Uint8Array.of(1), indexSize: 2, start: 0 },
    rewardOutputs: ({ coinbaseTxValueRemaining: value }) => [{ value, script: Uint8Array.of(0x51) }],
    coinbaseTag: "adit",
    sharesPerMinute: 6,
    shareBatchSize: 10,
    ackIntervalMs: 5_000,
    minHashrate: 1,
    vardiff: null,
    versionRollingAllowed: true,
    limits: { ...defaultChannelLimits, channelsPerConnection: 8, seenTipMs: 60_000 },
    customJobs: null,
  });
  const connections: number[] = [];
  let [now, last, templates] = [START, 0, 0];
  const take = ({ who, what, message }: Happening): void => {
    const connection = connections[who % Math.max(1, connections.length)];
    if (what === "come" && connections.length < CONNECTIONS) {
      connections.push(++last);
      server.handle({ type: "connected", connection: last, flags: 0, extensions: new Set() }, now);
    } else if (what === "go" && connection !== undefined) {
      connections.splice(connections.indexOf(connection), 1);
      server.handle({ type: "disconnected", connection }, now);
    } else if (what === "tick") {
      now += 1_000;
      server.handle({ type: "tick" }, now);
    } else if (what === "template" || what === "tip") {
      templates += 1;
      server.handle({ type: "template", template: template(templates) }, now);
      if (what !== "tip") return;
      const tip = { prevHash: u256(new Uint8Array(32).fill(templates)), headerTimestamp: Math.floor(now / 1_000) };
      server.handle({ type: "prev-hash", prevHash: prevHash(templates, tip) }, now);
    } else if (connection !== undefined) {
      const input = {
        type: "message",
        connection,
        message: openable(miningMessage(message)),
        worker: undefined,
      } as const;
      for (const effect of server.handle(input, now)) {
        if (effect.type === "close-connection") connections.splice(connections.indexOf(effect.connection), 1);
      }
    }
  };
  return lasting("client", take);
}

/** A client whose server goes on and on. */
export function lastingClient(): Target<readonly Happening[]> {
  const client = new MiningClient();
  let requestId = 0;
  return lasting("server", ({ what, message }) => {
    if (what === "come") {
      requestId = (requestId + 1) & 7;
      const request = { requestId, userIdentity: "", nominalHashRate: 0, maxTarget: u256(targetToBytes(MAX_TARGET)) };
      unlessRefused([MiningClientError], () => client.openExtended({ ...request, minExtranonceSize: 0 }));
    } else client.handle(miningMessage(message), 0);
  });
}

/** A translator whose miners and pools come and go. */
export function lastingTranslator(): Target<readonly Happening[]> {
  const { core } = new Bench();
  const setup = { userIdentity: "account", fixedVersion: false, namesWorkers: true };
  const miners: number[] = [];
  let [now, last, session] = [START, 0, 1];
  const inputOf = ({ who, what, message, line }: Happening): Parameters<typeof core.handle>[0] => {
    const miner = miners[who % Math.max(1, miners.length)] ?? 0;
    if (what === "come" && miners.length < CONNECTIONS) {
      miners.push(++last);
      return { type: "miner-connected", miner: last, peer: "192.0.2.1:1" };
    }
    if (what === "go" && miners.length > 0) {
      miners.splice(miners.indexOf(miner), 1);
      return { type: "miner-gone", miner };
    }
    if (what === "template") return { type: "session-up", session, setup };
    if (what === "tip") return { type: "session-down", session, reason: "cut" };
    if (what === "tick") return { type: "tick" };
    return who % 2 === 0
      ? { type: "line", miner, line }
      : { type: "upstream-message", session, message: miningMessage(message) };
  };
  return lasting("server", (happening) => {
    if (happening.what === "tick") now += 1_000;
    for (const effect of core.handle(inputOf(happening), now)) {
      if (effect.type === "close-miner") miners.splice(miners.indexOf(effect.miner), 1);
      if (effect.type === "begin-session") session = effect.session;
    }
  });
}

/** A miner that never hangs up; when it is sent away, it is back at once. */
export function lastingSession(): Target<readonly Happening[]> {
  const open = (): Sv1ServerSession =>
    new Sv1ServerSession({
      extranonce1: EXTRANONCE1,
      extranonce2Size: 8,
      versionMask: 0x1fffe000,
      difficulty: EASY,
      limits: defaultSv1Limits,
      hashing: pureHashing,
    });
  let session = open();
  let [now, jobs] = [START, 0];
  return lasting("client", ({ what, line }) => {
    now += 500;
    const effects =
      what === "template" || what === "tip"
        ? session.handle({ type: "job", job: testJob(String(++jobs), { clean: what === "tip" }) }, now)
        : session.handle(what === "tick" ? { type: "tick" } : { type: "line", line }, now);
    if (effects.some(({ type }) => type === "close")) session = open();
  });
}

function lasting(sender: "client" | "server", take: (happening: Happening) => void): Target<readonly Happening[]> {
  return {
    inputs: happenings(sender),
    run(all) {
      for (const one of all) step(() => take(one));
    },
  };
}

/** Opens as a miner would: one with any values is refused. */
function openable(message: MiningMessage): MiningMessage {
  if (message.name === "OpenExtendedMiningChannel") return { ...message, minExtranonceSize: 4, nominalHashRate: 1 };
  return message.name === "OpenStandardMiningChannel" ? { ...message, nominalHashRate: 1 } : message;
}
