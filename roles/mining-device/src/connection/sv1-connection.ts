import { type ByteStream, Deadline, formatHostPort } from "@adit/network-helpers";
import { tcp } from "@adit/network-helpers/tcp";
import { version } from "@adit/role-kit";
import { defaultSv1ClientLimits, LineSplitter } from "@adit/sv1";
import { numbered } from "../config.ts";
import { Sv1Miner, type Sv1MinerInput } from "../miner/sv1-miner.ts";
import type { Connect } from "./connect.ts";
import { MinerHost, type Wire } from "./miner-host.ts";

const DIAL_TIMEOUT_MS = 10_000;
const encoder = new TextEncoder();

/** Connects to a Stratum V1 pool and mines until the connection ends or the signal aborts. */
export const connectSv1: Connect = async ({ config, upstream, number, signal, ...host }) => {
  const address = formatHostPort({ host: upstream.address ?? "", port: upstream.port ?? 0 });
  await using stream = await dial(address, signal);
  await host.onOpen(() => stream.info());
  const miner = new Sv1Miner({
    userAgent: `adit/${version}`,
    userName: numbered(config.userName, number),
    password: config.password,
    versionRolling: config.versionRolling,
    extranonceSubscribe: true,
    suggestDifficulty: config.suggestDifficulty === 0 ? undefined : config.suggestDifficulty,
  });
  using running = new MinerHost<Sv1MinerInput, string>({ ...host, miner, wire: wireOf(stream) });
  const end = (): void => void stream[Symbol.asyncDispose]();
  signal.addEventListener("abort", end, { once: true });
  try {
    await read(stream, running);
  } finally {
    signal.removeEventListener("abort", end);
  }
};

async function dial(address: string, signal: AbortSignal): Promise<ByteStream> {
  using deadline = new Deadline(signal, DIAL_TIMEOUT_MS);
  return await tcp().dial(address, { signal: deadline.signal });
}

async function read(stream: ByteStream, host: MinerHost<Sv1MinerInput, string>): Promise<void> {
  const splitter = new LineSplitter(defaultSv1ClientLimits.message.maxLine);
  for await (const chunk of stream.source) {
    for (const line of splitter.push(chunk)) host.step({ type: "line", line });
  }
}

function wireOf(stream: ByteStream): Wire<string> {
  return {
    write: (line) => stream.write(encoder.encode(`${line}\n`)),
    abort: (reason) => stream.abort(reason),
  };
}
