import { isDeepStrictEqual } from "node:util";
import { MAX_TARGET, targetToBytes } from "@adit/bitcoin";
import { type ClientChannel, type ClientJob, type ClientLimits, MiningClient, MiningClientError } from "@adit/channels";
import { decodeHeader, dialect, HEADER_SIZE, type MiningMessage, u256 } from "@adit/codec";
import fc from "fast-check";
import { sequence } from "../arbitraries.ts";
import { type MessageSeed, messageSeed, miningMessage } from "../mining-messages.ts";
import { rule, step, type Target, unlessRefused } from "../target.ts";

type Step =
  | { readonly do: "hear"; readonly message: MessageSeed }
  | { readonly do: "ask"; readonly requestId: number; readonly standard: boolean }
  | { readonly do: "submit"; readonly at: number; readonly size: number }
  | { readonly do: "close"; readonly channelId: number };

const clientStep: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 10,
    arbitrary: fc.record({
      do: fc.constant("hear" as const),
      message: messageSeed("server"),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constant("ask" as const), requestId: fc.nat(7), standard: fc.boolean() }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("submit" as const), at: fc.nat(3), size: fc.nat(33) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("close" as const), channelId: fc.nat(7) }) },
);

const limits: ClientLimits = {
  maxChannels: 3,
  maxPendingRequests: 4,
  maxFutureJobs: 3,
  maxPastJobs: 4,
  maxPendingSubmits: 5,
};
const codec = dialect("mining");

/** Whatever a pool sends, in whatever order: a client keeps within its bounds, and work that was given out stays as it is. */
export const miningClient: Target<readonly Step[]> = {
  inputs: sequence(clientStep, 150),
  run(steps) {
    const run = new Run();
    for (const one of steps) run.take(one);
    run.check();
  },
};

class Run {
  readonly #client = new MiningClient({ limits });
  readonly #given = new Map<ClientJob, unknown>();

  take(one: Step): void {
    switch (one.do) {
      case "hear":
        return this.#hear(miningMessage(one.message));
      case "ask":
        return this.#ask(one.requestId, one.standard);
      case "submit":
        return this.#submit([...this.#client.channels.values()][one.at], one.size);
      case "close":
        step(() => this.#client.close(one.channelId, "bye"));
        return;
      default:
        one satisfies never;
    }
  }

  check(): void {
    for (const [job, contents] of this.#given)
      rule(isDeepStrictEqual(contentsOf(job), contents), "a job to mine changed");
  }

  /** The message is read from a buffer that is used again at once. */
  #hear(message: MiningMessage): void {
    const frame = codec.encode(message);
    const payload = frame.subarray(HEADER_SIZE);
    const decoded = codec.decode({ ...decodeHeader(frame), payload });
    rule(decoded.kind === "message", `${message.name} does not decode`);
    const events = step(() => this.#client.handle(decoded.message as MiningMessage, 0));
    for (const event of events)
      if (event.type === "job") this.#given.set(event.job, structuredClone(contentsOf(event.job)));
    payload.fill(0xee);
    const { channels } = this.#client;
    rule(channels.size <= limits.maxChannels, `${channels.size} channels are open`);
    for (const [channelId, channel] of channels) {
      rule(channel.channelId === channelId && channel.open && channel.target > 0n, "a channel that is none is kept");
      rule(channel.pendingSubmits <= limits.maxPendingSubmits, `${channel.pendingSubmits} submits are remembered`);
    }
  }

  #ask(requestId: number, standard: boolean): void {
    const request = { requestId, userIdentity: "", nominalHashRate: 0, maxTarget: u256(targetToBytes(MAX_TARGET)) };
    unlessRefused([MiningClientError], () =>
      standard ? this.#client.openStandard(request) : this.#client.openExtended({ ...request, minExtranonceSize: 4 }),
    );
  }

  #submit(channel: ClientChannel | undefined, size: number): void {
    if (channel === undefined) return;
    const share = { jobId: 1, nonce: 1, ntime: 1, version: 1 };
    const message = unlessRefused([MiningClientError], () =>
      channel.kind === "standard"
        ? channel.submitStandard(share)
        : channel.submitExtended({ ...share, extranonce: new Uint8Array(size) }),
    );
    rule(
      (message === undefined) === (channel.kind === "extended" && size !== channel.extranonceSize),
      "an extranonce of any size is taken",
    );
    if (message !== undefined) codec.encode(message);
  }
}

function contentsOf(job: ClientJob): unknown {
  const { jobId, targetBytes, version, prevHash, nbits, minNtime, extranoncePrefix, merkleRoot } = job;
  const { coinbaseTxPrefix, coinbaseTxSuffix, merklePath } = job;
  return {
    jobId,
    targetBytes,
    version,
    prevHash,
    nbits,
    minNtime,
    extranoncePrefix,
    merkleRoot,
    coinbaseTxPrefix,
    coinbaseTxSuffix,
    merklePath,
  };
}
