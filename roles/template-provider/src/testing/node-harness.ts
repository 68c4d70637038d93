import type { NodeTemplate } from "@adit/bitcoin-node";
import type { NewTemplate, TemplateDistributionMessage, TemplateSetNewPrevHash } from "@adit/codec";
import { nodeTemplate } from "@adit/role-nodes/testing";
import { NodeSource } from "../node/node-source.ts";
import { admitSolution } from "../template/solution.ts";
import {
  TemplateServer,
  type TemplateServerEffect,
  type TemplateServerInput,
  type TemplateServerOptions,
} from "../template-server.ts";
import type { Work } from "./solve.ts";

const ROOM = {
  name: "CoinbaseOutputConstraints",
  coinbaseOutputMaxAdditionalSize: 200,
  coinbaseOutputMaxAdditionalSigops: 4,
} as const;

/** A server core on a node's templates, which a test gives it, with a simulated clock. */
export class NodeHarness {
  now = 1_800_000_000_000;
  readonly source = new NodeSource(() => this.now);
  readonly server: TemplateServer;
  /** Everything a client was sent, by client. */
  readonly sent = new Map<number, TemplateDistributionMessage[]>();

  constructor(options: Partial<TemplateServerOptions> = {}) {
    this.server = new TemplateServer(
      this.source,
      {
        feeThreshold: 100n,
        minIntervalMs: 5_000,
        maxTemplatesPerClient: 128,
        maxRequestsPerMinute: 100_000,
        constraintsTimeoutMs: 30_000,
        former: { firstId: undefined, sent: new Map() },
        judge: admitSolution,
        lateBlocks: "solved",
        ...options,
      },
      this.now,
    );
  }

  /** One input of the server. */
  do(input: TemplateServerInput): readonly TemplateServerEffect[] {
    const effects = this.server.handle(input, this.now);
    for (const effect of effects) {
      if (effect.type === "send") this.sentTo(effect.client).push(...effect.messages);
    }
    return effects;
  }

  /** A node's template arrives. */
  give(fields: Partial<NodeTemplate> = {}, isStopgap = false): readonly TemplateServerEffect[] {
    return this.do(this.source.take({ template: nodeTemplate(fields), at: this.now, isStopgap }));
  }

  /** A client connects and sends its constraints. */
  join(client: number): readonly TemplateServerEffect[] {
    this.do({ type: "connected", client });
    return this.message(client, ROOM);
  }

  message(client: number, message: TemplateDistributionMessage): readonly TemplateServerEffect[] {
    return this.do({ type: "message", client, message });
  }

  /** Lets time pass. */
  tick(ms: number): readonly TemplateServerEffect[] {
    this.now += ms;
    return this.do({ type: "tick" });
  }

  /** What the client was told last. */
  work(client: number): Work {
    const sent = this.sentTo(client);
    const prevHash = sent.findLast((message): message is TemplateSetNewPrevHash => message.name === "SetNewPrevHash");
    const template = sent.findLast((message): message is NewTemplate => message.name === "NewTemplate");
    if (prevHash === undefined || template === undefined) throw new Error("the client has no work yet");
    return { template, prevHash };
  }

  /** Everything the client was sent. */
  sentTo(client: number): TemplateDistributionMessage[] {
    const sent = this.sent.get(client) ?? [];
    this.sent.set(client, sent);
    return sent;
  }
}
