import type { NewTemplate, TemplateDistributionMessage, TemplateSetNewPrevHash } from "@adit/codec";
import { genesisTip } from "../chain/chain-tip.ts";
import { EmbeddedChain } from "../chain/embedded-chain.ts";
import { chainBits } from "../config.ts";
import {
  TemplateServer,
  type TemplateServerEffect,
  type TemplateServerInput,
  type TemplateServerOptions,
} from "../template-server.ts";
import { seeded } from "./random.ts";
import type { Work } from "./solve.ts";

/** Simulated time starts here. */
export const START = 1_800_000_000_000;

const ROOM = {
  name: "CoinbaseOutputConstraints",
  coinbaseOutputMaxAdditionalSize: 200,
  coinbaseOutputMaxAdditionalSigops: 4,
} as const;

/** A server core with a simulated clock and a disk that never fails. */
export class Harness {
  readonly chain: EmbeddedChain;
  readonly server: TemplateServer;
  now = START;
  /** Everything a client was sent, by client. */
  readonly sent = new Map<number, TemplateDistributionMessage[]>();

  constructor(options: Partial<TemplateServerOptions> & { readonly mempoolTransactions?: number } = {}) {
    const { mempoolTransactions = 6, ...changes } = options;
    const random = seeded(11);
    this.chain = new EmbeddedChain({
      bits: chainBits({ hashesPerBlock: 16 }),
      tip: genesisTip,
      mempoolTransactions,
      random,
    });
    this.server = new TemplateServer(
      this.chain,
      {
        templateIntervalMs: 10_000,
        feeThreshold: 1n,
        minIntervalMs: 0,
        elsewhereIntervalMs: 0,
        maxTemplatesPerClient: 8,
        maxRequestsPerMinute: 100_000,
        constraintsTimeoutMs: 30_000,
        random,
        former: { firstId: undefined, sent: new Map() },
        ...changes,
      },
      START,
    );
  }

  /** One input; blocks to store are stored at once. */
  do(input: TemplateServerInput): readonly TemplateServerEffect[] {
    const effects = this.server.handle(input, this.now).flatMap((effect) => {
      if (effect.type !== "store-block") return [effect];
      return [effect, ...this.do({ type: "block-stored", block: effect.block })];
    });
    if (input.type === "block-stored") return effects;
    for (const effect of effects) {
      if (effect.type !== "send") continue;
      this.sent.set(effect.client, [...(this.sent.get(effect.client) ?? []), ...effect.messages]);
    }
    return effects;
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

  message(client: number, message: TemplateDistributionMessage): readonly TemplateServerEffect[] {
    return this.do({ type: "message", client, message });
  }

  /** Lets time pass. */
  tick(ms: number): readonly TemplateServerEffect[] {
    this.now += ms;
    return this.do({ type: "tick" });
  }
}
