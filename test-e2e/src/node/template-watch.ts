import {
  assembleCoinbase,
  buildCoinbase,
  displayHash,
  encodeHeader,
  hash,
  pureHashing,
  restoreWitness,
  sha256d,
  type TxOutput,
  targetFromBytes,
} from "@adit/bitcoin";
import type {
  NewTemplate,
  RequestTransactionDataSuccess,
  SubmitSolution,
  TemplateDistributionMessage,
  TemplateSetNewPrevHash,
} from "@adit/codec";
import type { Sv2Connection } from "@adit/network-helpers";
import type { TestRole } from "../harness/test-role.ts";
import { until } from "../harness/until.ts";
import { lockingScript } from "./anyone-can-spend.ts";
import { type CoinbaseRoom, dialTemplates } from "./dial-templates.ts";
import { grind } from "./grind.ts";

/** Work that a template client was given: a template, and the tip it may be mined on. */
export interface GivenWork {
  readonly template: NewTemplate;
  readonly tip: TemplateSetNewPrevHash;
  /** Hash of the block to build on, displayed order. */
  readonly parent: string;
  /** When it came, of `performance.now()`. */
  readonly at: number;
}

/** Size of the one output that a solution's coinbase has of its own unless told otherwise. */
export const OUTPUT_SIZE = 43;
const EXTRANONCE_SIZE = 20;
const GIVEN_MS = 20_000;

/** A template client that keeps all it is sent, in order, and can hand in solutions. */
export class TemplateWatch implements AsyncDisposable {
  /** All work so far, in the order in which a miner could have begun with it. */
  readonly work: GivenWork[] = [];
  readonly #connection: Sv2Connection<"template_distribution">;
  readonly #waiting = new Map<bigint, NewTemplate>();
  readonly #data = new Map<bigint, RequestTransactionDataSuccess>();

  private constructor(connection: Sv2Connection<"template_distribution">) {
    this.#connection = connection;
    this.#read().catch(() => {});
  }

  /** Connects to a template provider over TCP and asks for templates. */
  static async open(
    templateProvider: Pick<TestRole, "details" | "listener">,
    room: CoinbaseRoom = { size: OUTPUT_SIZE, sigops: 0 },
  ): Promise<TemplateWatch> {
    return new TemplateWatch(await dialTemplates(templateProvider, room));
  }

  /** Resolves to the newest work, of what came and is to come, once that fits. */
  async given(what: string, fits: (work: GivenWork) => boolean = () => true): Promise<GivenWork> {
    const newest = (): GivenWork | false => {
      const work = this.work.at(-1);
      return work !== undefined && fits(work) && work;
    };
    return await until(what, newest, GIVEN_MS);
  }

  /** The transactions of a template, serialized, without the coinbase. */
  async transactions({ template: { templateId } }: GivenWork): Promise<readonly Uint8Array[]> {
    await this.#connection.write({ name: "RequestTransactionData", templateId });
    return (await until("transaction data", () => this.#data.get(templateId))).transactionList;
  }

  /**
   * Solves work and hands in the solution. All the value goes to the first output, which anyone can spend; `more` outputs
   * follow. Resolves to the hash of the block, displayed order.
   */
  async mine(work: GivenWork, more: readonly TxOutput[] = []): Promise<string> {
    const { solution, hash: blockHash } = solve(work, more);
    await this.#connection.write(solution);
    return blockHash;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#connection[Symbol.asyncDispose]();
  }

  async #read(): Promise<void> {
    for await (const { message } of this.#connection.messages) {
      // Its bytes are a view of what was received.
      this.#take(structuredClone(message as TemplateDistributionMessage));
    }
  }

  #take(message: TemplateDistributionMessage): void {
    if (message.name === "RequestTransactionDataSuccess") this.#data.set(message.templateId, message);
    else if (message.name === "SetNewPrevHash") this.#begin(message);
    else if (message.name === "NewTemplate") {
      const tip = this.work.at(-1)?.tip;
      if (message.futureTemplate) this.#waiting.set(message.templateId, message);
      else if (tip !== undefined) this.#give(message, tip);
    }
  }

  #begin(tip: TemplateSetNewPrevHash): void {
    const template = this.#waiting.get(tip.templateId);
    if (template === undefined)
      throw new Error(`SetNewPrevHash names template ${tip.templateId}, which is no future one`);
    this.#waiting.clear();
    this.#give(template, tip);
  }

  #give(template: NewTemplate, tip: TemplateSetNewPrevHash): void {
    this.work.push({ template, tip, parent: displayHash(hash(tip.prevHash)), at: performance.now() });
  }
}

function solve(
  { template, tip }: GivenWork,
  more: readonly TxOutput[],
): { readonly solution: SubmitSolution; readonly hash: string } {
  const reward = { value: template.coinbaseTxValueRemaining, script: lockingScript("segwit") };
  const parts = buildCoinbase({
    txVersion: template.coinbaseTxVersion,
    scriptSigPrefix: template.coinbasePrefix,
    tag: "template watch",
    extranonceSize: EXTRANONCE_SIZE,
    inputSequence: template.coinbaseTxInputSequence,
    outputs: [reward, ...more],
    templateOutputs: template.coinbaseTxOutputs,
    templateOutputsCount: template.coinbaseTxOutputsCount,
    locktime: template.coinbaseTxLocktime,
  });
  const coinbase = assembleCoinbase(parts, new Uint8Array(EXTRANONCE_SIZE).fill(0x5a));
  const header = encodeHeader({
    version: template.version,
    prevHash: hash(tip.prevHash),
    merkleRoot: pureHashing.merkleRoot(coinbase, template.merklePath),
    ntime: tip.headerTimestamp,
    nbits: tip.nBits,
    nonce: 0,
  });
  const solution: SubmitSolution = {
    name: "SubmitSolution",
    templateId: template.templateId,
    version: template.version,
    headerTimestamp: tip.headerTimestamp,
    headerNonce: grind(header, targetFromBytes(tip.target)),
    coinbaseTx: restoreWitness(coinbase),
  };
  return { solution, hash: displayHash(sha256d(header)) };
}
