import { sameBytes } from "@adit/bitcoin";
import type { ReceivedTemplate } from "@adit/role-nodes";
import { assembleTemplate, type BlockTemplate, type CoinbaseRoom } from "../template/block-template.ts";
import type { SourceChange, SourceTip, TemplateSource } from "../template-source.ts";

/** Pools ask for the same room, so that there are few in practice; a client may ask for another in each message. */
const MAX_LAYOUTS = 64;

/** The newest template of a node, laid out for each client's coinbase. */
export class NodeSource implements TemplateSource {
  readonly #clock: () => number;
  readonly #made = new Map<string, BlockTemplate>();
  #received: ReceivedTemplate | undefined;

  /** `clock` is the one of {@link ReceivedTemplate.at}. */
  constructor(clock: () => number) {
    this.#clock = clock;
  }

  /** The newest template; undefined before the first. */
  get received(): ReceivedTemplate | undefined {
    return this.#received;
  }

  get tip(): SourceTip | undefined {
    if (this.#received === undefined) return undefined;
    const { prevHash, height } = this.#received.template;
    return { hash: prevHash, height: height - 1 };
  }

  /** Fees of all transactions of the newest template, in satoshi. */
  get fees(): bigint {
    return (this.#received?.template.transactions ?? []).reduce((sum, { fee }) => sum + fee, 0n);
  }

  /** Takes a newer template and says what is new about it. */
  take(received: ReceivedTemplate): SourceChange {
    const before = this.#received;
    this.#received = received;
    this.#made.clear();
    const { template } = received;
    const isSameTip = before?.template.bits === template.bits && sameBytes(before.template.prevHash, template.prevHash);
    return isSameTip ? { type: "better-templates", atOnce: before.isStopgap } : { type: "tip" };
  }

  template(room: CoinbaseRoom): BlockTemplate {
    const key = `${room.maxAdditionalSize} ${room.maxAdditionalSigops}`;
    const made = this.#made.get(key) ?? this.#assemble(room);
    this.#made.set(key, made);
    const [oldest] = this.#made.keys();
    if (this.#made.size > MAX_LAYOUTS && oldest !== undefined) this.#made.delete(oldest);
    return made;
  }

  /** Milliseconds since the newest template came; undefined before the first. */
  get age(): number | undefined {
    return this.#received === undefined ? undefined : this.#clock() - this.#received.at;
  }

  /** The node's time, which is the one that judges the block, carried on. */
  startTime(): number {
    const { template, at } = this.#present();
    const passed = Math.floor((this.#clock() - at) / 1000);
    return Math.max(template.curTime + passed, template.minTime);
  }

  #assemble(room: CoinbaseRoom): BlockTemplate {
    const { template } = this.#present();
    return assembleTemplate({
      height: template.height,
      prevHash: template.prevHash,
      medianTimePast: template.minTime - 1,
      bits: template.bits,
      version: template.version,
      subsidy: template.coinbaseValue - this.fees,
      waiting: template.transactions,
      commitment: template.witnessCommitment,
      room,
      limits: { weight: template.weightLimit, sigopsCost: template.sigopsLimit },
    });
  }

  #present(): ReceivedTemplate {
    if (this.#received === undefined) throw new Error("there is no template yet");
    return this.#received;
  }
}
