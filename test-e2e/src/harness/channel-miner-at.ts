import type { MiningMessage } from "@adit/codec";
import type { IrohNodeManager } from "@adit/network-helpers/iroh";
import { ChannelMiner } from "../node/mining/channel-miner.ts";
import { dialStream, type Reachable, setUp } from "./dial.ts";

/** A {@link ChannelMiner} on a connection of its own to a mining server, and what it heard over that. */
export class ChannelMinerAt implements AsyncDisposable {
  readonly miner: ChannelMiner;
  /** Everything the server has said, in order. */
  readonly heard: MiningMessage[] = [];
  /** Keeps shares to itself until it is told to {@link hurry}. */
  isSlow = false;
  readonly #connection: Awaited<ReturnType<typeof setUp<"mining">>>;
  readonly #late: MiningMessage[] = [];

  private constructor(connection: Awaited<ReturnType<typeof setUp<"mining">>>) {
    this.#connection = connection;
    this.miner = new ChannelMiner((message) => this.#send(message));
    this.#read().catch(() => {});
  }

  /** Dials over TCP, or from an Iroh node. `flags`: of its SetupConnection. */
  static async dial(server: Reachable, flags = 0, node?: IrohNodeManager): Promise<ChannelMinerAt> {
    const stream = await dialStream(server, node);
    return new ChannelMinerAt(await setUp(stream, { protocol: "mining", flags }, server.details.authority_public_key));
  }

  /** Sends the shares that it has kept. */
  async hurry(): Promise<void> {
    this.isSlow = false;
    for (const share of this.#late.splice(0)) await this.#connection.write(share);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#connection[Symbol.asyncDispose]();
  }

  #send(message: MiningMessage): void {
    const isShare = message.name === "SubmitSharesStandard" || message.name === "SubmitSharesExtended";
    if (this.isSlow && isShare) this.#late.push(message);
    // What breaks the connection shows in what is not heard.
    else this.#connection.write(message).catch(() => {});
  }

  async #read(): Promise<void> {
    for await (const { message } of this.#connection.messages) {
      this.heard.push(message as MiningMessage);
      this.miner.receive(message as MiningMessage);
    }
  }
}
