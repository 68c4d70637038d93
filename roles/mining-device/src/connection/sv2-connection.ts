import {
  type CommonMessage,
  type DialectMessage,
  type MiningMessage,
  REQUIRES_FIXED_VERSION,
  REQUIRES_STANDARD_JOBS,
} from "@adit/codec";
import type { Sv2Connection } from "@adit/network-helpers";
import type { Network } from "@adit/role-network";
import { numbered } from "../config.ts";
import { Sv2Miner, type Sv2MinerInput } from "../miner/sv2-miner.ts";
import type { Connect } from "./connect.ts";
import { MinerHost, type Wire } from "./miner-host.ts";

/** Makes what connects to a Stratum V2 pool and mines until the connection ends or the signal aborts. */
export function connectSv2(network: Network, nominalHashrate: number): Connect {
  return async ({ config, upstream, number, signal, ...host }) => {
    const hello = {
      protocol: "mining",
      flags: config.channel === "standard" ? REQUIRES_STANDARD_JOBS : 0,
      requestExtensions: [],
      requiredExtensions: [],
    } as const;
    await using connection = await network.dial(upstream, hello, { signal });
    await host.onOpen(() => connection.info());
    const miner = new Sv2Miner({
      kind: config.channel,
      userIdentity: numbered(config.userIdentity, number),
      nominalHashrate,
      versionRolling: config.versionRolling && (connection.accepted.flags & REQUIRES_FIXED_VERSION) === 0,
    });
    using running = new MinerHost<Sv2MinerInput, MiningMessage>({ ...host, miner, wire: wireOf(connection) });
    const end = (): void => void connection[Symbol.asyncDispose]();
    signal.addEventListener("abort", end, { once: true });
    try {
      for await (const { message } of connection.messages) {
        if (isForMiner(message)) running.step({ type: "message", message });
      }
    } finally {
      signal.removeEventListener("abort", end);
    }
  };
}

function wireOf(connection: Sv2Connection<"mining">): Wire<MiningMessage> {
  return {
    write: (message) => connection.write(message),
    abort: (reason) => connection.abort(reason),
  };
}

/** The connection itself deals with the negotiation of extensions. */
function isForMiner(message: DialectMessage<"mining">): message is CommonMessage | MiningMessage {
  return !message.name.startsWith("RequestExtensions");
}
