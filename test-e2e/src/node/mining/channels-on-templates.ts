import { pureHashing } from "@adit/bitcoin";
import {
  type ClientChannel,
  defaultChannelLimits,
  MiningServer,
  type ServerEffect,
  type ServerInput,
} from "@adit/channels";
import type { MiningMessage } from "@adit/codec";
import type { Sv2Connection } from "@adit/network-helpers";
import type { TestRole } from "../../harness/test-role.ts";
import { lockingScript } from "../anyone-can-spend.ts";
import { dialTemplates } from "../dial-templates.ts";
import { OUTPUT_SIZE } from "../template-watch.ts";
import { ChannelMiner } from "./channel-miner.ts";

const CONNECTION = 1;

/**
 * A MiningServer in this process on the templates of a template provider, with one miner: for what no role has a command
 * for.
 */
export class ChannelsOnTemplates implements AsyncDisposable {
  /** The one miner. */
  readonly miner: ChannelMiner = new ChannelMiner((message) => this.#onMiner(message));
  readonly #connection: Sv2Connection<"template_distribution">;
  readonly #server = new MiningServer({
    hashing: pureHashing,
    extranonce: { totalSize: 20, prefix: Uint8Array.of(1), indexSize: 3, start: 0 },
    rewardOutputs: ({ coinbaseTxValueRemaining: value }) => [{ value, script: lockingScript("segwit") }],
    coinbaseTag: "channels",
    sharesPerMinute: 240,
    shareBatchSize: 1,
    ackIntervalMs: 1_000,
    minHashrate: 1_000,
    vardiff: null,
    versionRollingAllowed: true,
    limits: defaultChannelLimits,
    customJobs: null,
  });

  private constructor(connection: Sv2Connection<"template_distribution">, flags: number) {
    this.#connection = connection;
    this.#input({ type: "connected", connection: CONNECTION, flags, extensions: new Set() });
    this.#read().catch(() => {});
  }

  /** Connects to a template provider over TCP. `flags`: those of the miner's SetupConnection. */
  static async open(provider: TestRole, flags: number): Promise<ChannelsOnTemplates> {
    return new ChannelsOnTemplates(await dialTemplates(provider, { size: OUTPUT_SIZE, sigops: 0 }), flags);
  }

  /** Gives a channel another extranonce prefix, which its jobs have from the next one on. */
  rotate({ channelId }: ClientChannel): void {
    this.#input({ type: "rotate-extranonce-prefix", connection: CONNECTION, channelId });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#connection[Symbol.asyncDispose]();
  }

  async #read(): Promise<void> {
    for await (const { message } of this.#connection.messages) {
      if (message.name === "NewTemplate") this.#input({ type: "template", template: message });
      if (message.name === "SetNewPrevHash") this.#input({ type: "prev-hash", prevHash: message });
    }
  }

  #onMiner(message: MiningMessage): void {
    this.#input({ type: "message", connection: CONNECTION, message, worker: undefined });
  }

  #input(input: ServerInput): void {
    for (const effect of this.#server.handle(input, Date.now())) this.#perform(effect);
  }

  /** Shares are recorded by nobody: nothing here is paid for. */
  #perform(effect: ServerEffect): void {
    if (effect.type === "send") this.miner.receive(effect.message);
    // When it cannot be sent, there is no block to be found by whoever asked for it.
    if (effect.type === "submit-solution") this.#connection.write(effect.solution).catch(() => {});
    if (effect.type === "record-share")
      this.#input({ type: "share-recorded", share: effect.share, result: "recorded" });
  }
}
