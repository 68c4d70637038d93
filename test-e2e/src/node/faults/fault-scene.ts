import { join } from "node:path";
import { freePort } from "../../harness/free-port.ts";
import { Stage } from "../../harness/stage.ts";
import { until } from "../../harness/until.ts";
import { tipOf } from "../chain-view.ts";
import { minePlain, type PlainBlock } from "../mine-plain.ts";
import { MiningLine } from "../mining-line.ts";
import { credentials } from "../node-process.ts";
import { NodeProxy } from "../node-proxy.ts";
import type { GivenWork } from "../template-watch.ts";
import type { NodeOptions, TestNode } from "../test-node.ts";

/** Starts a node on which a block takes some HASHES_PER_BLOCK hashes, so that not every share is one. */
export type StartNode = (options: NodeOptions) => Promise<TestNode>;

/** Age of a template, in seconds, from which on the role is not ready. */
export const ALARM_SECONDS = 2;
/** `min_interval`: so long that a better template on the same tip is only sent where that does not count. */
const MIN_INTERVAL_SECONDS = 600;

/**
 * A mining line on a node behind a proxy. Blocks go to another node as well, which is not there unless a scenario starts
 * it.
 */
export class FaultScene implements AsyncDisposable {
  readonly stage: Stage;
  readonly node: TestNode;
  /** In front of {@link node}. */
  readonly proxy: NodeProxy;
  readonly line: MiningLine;
  readonly #start: StartNode;
  readonly #extraPort: number;

  private constructor(
    start: StartNode,
    parts: Pick<FaultScene, "stage" | "node" | "proxy" | "line"> & { readonly extraPort: number },
  ) {
    this.#start = start;
    this.#extraPort = parts.extraPort;
    this.stage = parts.stage;
    this.node = parts.node;
    this.proxy = parts.proxy;
    this.line = parts.line;
  }

  /** Starts all but the other node. */
  static async open(start: StartNode): Promise<FaultScene> {
    const stage = await Stage.open();
    const opened: AsyncDisposable[] = [stage];
    try {
      const node = await start({ folder: join(stage.folder, "node") });
      opened.unshift(node);
      const proxy = await NodeProxy.start(node);
      opened.unshift(proxy);
      const extraPort = await freePort();
      const line = await MiningLine.open(stage, {
        nodes: [{ rpcUrl: proxy.rpcUrl, ...credentials }],
        extraSubmit: [{ rpcUrl: `http://127.0.0.1:${extraPort}`, ...credentials }],
        minIntervalSecs: MIN_INTERVAL_SECONDS,
        bitcoinNode: `template_alarm_secs = ${ALARM_SECONDS}`,
      });
      return new FaultScene(start, { stage, node, proxy, line, extraPort });
    } catch (error) {
      for (const one of opened) await one[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Starts the other node, peered to the first, and a proxy in front of it. The caller disposes both. */
  async startOther(): Promise<{ readonly other: TestNode; readonly otherProxy: NodeProxy }> {
    const other = await this.#start({ folder: join(this.stage.folder, "other"), peer: this.node.p2p });
    await until(
      "the other node has the chain",
      async () => (await tipOf(other)).hash === (await tipOf(this.node)).hash,
    );
    return { other, otherProxy: await NodeProxy.start(other, this.#extraPort) };
  }

  /** A block of somebody else's on the tip, without any of the transactions that wait. */
  async foreignBlock(): Promise<PlainBlock> {
    const [block] = await minePlain(this.node, 1, { parent: (await tipOf(this.node)).hash });
    return block as PlainBlock;
  }

  /** The newest work, once it is on the node's tip. */
  async workOnTip(): Promise<GivenWork> {
    const { hash } = await tipOf(this.node);
    return await this.line.watch.given("work on the tip", ({ parent }) => parent === hash);
  }

  /** The value of a metric of the template provider; the sum where labels tell several apart, 0 where there is none yet. */
  async metric(name: string, labels = ""): Promise<number> {
    const lines = (await this.line.templateProvider.metrics()).split("\n");
    const values = lines.filter((line) => line.startsWith(`sv2_template_provider_${name}`) && line.includes(labels));
    return values.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" "))), 0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.line[Symbol.asyncDispose]();
    await this.stage[Symbol.asyncDispose]();
    await this.proxy[Symbol.asyncDispose]();
    await this.node[Symbol.asyncDispose]();
  }
}
