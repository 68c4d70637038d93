import type { NewTemplate, TemplateDistributionMessage, TemplateSetNewPrevHash } from "@adit/codec";
import { chainBits } from "../config.ts";
import { genesisTip } from "../embedded/chain-tip.ts";
import { EmbeddedChain } from "../embedded/embedded-chain.ts";
import {
  EmbeddedCore,
  type EmbeddedCoreOptions,
  type EmbeddedEffect,
  type EmbeddedInput,
} from "../embedded/embedded-core.ts";
import { checkSolution } from "../template/solution.ts";
import {
  TemplateServer,
  type TemplateServerEffect,
  type TemplateServerInput,
  type TemplateServerOptions,
} from "../template-server.ts";
import { seeded } from "./random.ts";
import type { Work } from "./solve.ts";

/** What the cores ask of their shells, one after the other. */
export type HarnessEffect = TemplateServerEffect | Exclude<EmbeddedEffect, { readonly type: "changed" }>;

/** Simulated time starts here. */
export const START = 1_800_000_000_000;

const ROOM = {
  name: "CoinbaseOutputConstraints",
  coinbaseOutputMaxAdditionalSize: 200,
  coinbaseOutputMaxAdditionalSigops: 4,
} as const;

/** A server core on an embedded chain, with a simulated clock and a disk that never fails. */
export class Harness {
  readonly chain: EmbeddedChain;
  readonly core: EmbeddedCore;
  readonly server: TemplateServer;
  now = START;
  /** Everything a client was sent, by client. */
  readonly sent = new Map<number, TemplateDistributionMessage[]>();

  constructor(
    options: Partial<TemplateServerOptions & EmbeddedCoreOptions> & { readonly mempoolTransactions?: number } = {},
  ) {
    const { mempoolTransactions = 6, templateIntervalMs = 10_000, elsewhereIntervalMs = 0, ...changes } = options;
    const random = seeded(11);
    this.chain = new EmbeddedChain({
      bits: chainBits({ hashesPerBlock: 16 }),
      tip: genesisTip,
      mempoolTransactions,
      random,
    });
    this.core = new EmbeddedCore(this.chain, { templateIntervalMs, elsewhereIntervalMs, random }, START);
    this.server = new TemplateServer(
      this.chain,
      {
        feeThreshold: 1n,
        minIntervalMs: 0,
        maxTemplatesPerClient: 8,
        maxRequestsPerMinute: 100_000,
        constraintsTimeoutMs: 30_000,
        former: { firstId: undefined, sent: new Map() },
        judge: checkSolution,
        lateBlocks: "refused",
        ...changes,
      },
      START,
    );
  }

  /** How many blocks and solutions there were. */
  get blocks(): { readonly accepted: number; readonly elsewhere: number; readonly rejected: number } {
    const { client: accepted, elsewhere } = this.core.connected;
    return { accepted, elsewhere, rejected: this.server.refused.total };
  }

  /** One input of the server, and all that follows from it; blocks are stored at once. */
  do(input: TemplateServerInput): readonly HarnessEffect[] {
    return this.server.handle(input, this.now).flatMap((effect) => {
      if (effect.type === "send") this.#record(effect);
      if (effect.type !== "block-solved") return [effect];
      return [effect, ...this.onChain({ type: "solved", block: effect.block })];
    });
  }

  /** One input of the chain, and all that follows from it. */
  onChain(input: EmbeddedInput): readonly HarnessEffect[] {
    return this.core.handle(input, this.now).flatMap((effect): readonly HarnessEffect[] => {
      if (effect.type === "changed") return this.do(effect.change);
      if (effect.type !== "store-block") return [effect];
      return [effect, ...this.onChain({ type: "block-stored", block: effect.block })];
    });
  }

  /** A client that has connected and sent its constraints. */
  join(client: number): Work {
    this.do({ type: "connected", client });
    this.do({ type: "message", client, message: ROOM });
    return this.work(client);
  }

  /** What the client was told last. */
  work(client: number): Work {
    const sent = this.sent.get(client) ?? [];
    const prevHash = sent.findLast((message): message is TemplateSetNewPrevHash => message.name === "SetNewPrevHash");
    const template = sent.findLast((message): message is NewTemplate => message.name === "NewTemplate");
    if (prevHash === undefined || template === undefined) throw new Error("the client has no work yet");
    return { template, prevHash };
  }

  message(client: number, message: TemplateDistributionMessage): readonly HarnessEffect[] {
    return this.do({ type: "message", client, message });
  }

  /** Lets time pass. */
  tick(ms: number): readonly HarnessEffect[] {
    this.now += ms;
    return [...this.onChain({ type: "tick" }), ...this.do({ type: "tick" })];
  }

  #record({ client, messages }: TemplateServerEffect & { readonly type: "send" }): void {
    this.sent.set(client, [...(this.sent.get(client) ?? []), ...messages]);
  }
}
