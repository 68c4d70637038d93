import { fromHex, hash, hex, targetFromBits } from "@adit/bitcoin";
import type { SentTemplate } from "../template-client.ts";
import type { BlockTemplate, CoinbaseRoom, MempoolTransaction } from "./block-template.ts";

/** Templates that former processes sent. */
export interface FormerTemplates {
  /** The first id that was ever given out; undefined when none was. */
  readonly firstId: bigint | undefined;
  /** Those still known, by id, oldest first; of the present tip and of some before it. */
  readonly sent: ReadonlyMap<bigint, SentTemplate>;
}

/** A line of the file of templates. */
export type Line = FirstIdLine | TransactionLine | TemplateLine;

interface FirstIdLine {
  readonly firstId: string;
}

/** Byte fields are hexadecimal, amounts decimal. */
interface TransactionLine {
  readonly wtxid: string;
  readonly txid: string;
  readonly bytes: string;
  readonly fee: string;
  readonly weight: number;
  readonly sigopsCost: number;
}

interface TemplateLine {
  readonly id: string;
  readonly headerTimestamp: number;
  readonly height: number;
  readonly prevHash: string;
  readonly medianTimePast: number;
  readonly bits: number;
  readonly version: number;
  readonly coinbaseVersion: number;
  readonly coinbasePrefix: string;
  readonly coinbaseSequence: number;
  readonly coinbaseLocktime: number;
  readonly valueRemaining: string;
  readonly outputs: string;
  readonly outputsCount: number;
  readonly merklePath: readonly string[];
  /** The wtxids; each has its own line before this one. */
  readonly transactions: readonly string[];
  readonly room: CoinbaseRoom;
}

/** The line of a transaction. */
export function transactionLine({ bytes, wtxid, txid, fee, weight, sigopsCost }: MempoolTransaction): Line {
  return { wtxid: hex(wtxid), txid: hex(txid), bytes: hex(bytes), fee: fee.toString(), weight, sigopsCost };
}

/** The line of a template, which names its transactions. */
export function templateLine(templateId: bigint, { template, headerTimestamp }: SentTemplate): Line {
  const { fees: _, target: __, ...fields } = template;
  return {
    id: templateId.toString(),
    headerTimestamp,
    ...fields,
    prevHash: hex(template.prevHash),
    coinbasePrefix: hex(template.coinbasePrefix),
    valueRemaining: template.valueRemaining.toString(),
    outputs: hex(template.outputs),
    merklePath: template.merklePath.map(hex),
    transactions: template.transactions.map(({ wtxid }) => hex(wtxid)),
  };
}

/** What lines say, read one after the other. Those that are not whole, or lack a transaction, are passed over. */
export class TemplateLines implements FormerTemplates {
  readonly #transactions = new Map<string, MempoolTransaction>();
  readonly #sent = new Map<bigint, SentTemplate>();
  #firstId: bigint | undefined;

  get firstId(): bigint | undefined {
    return this.#firstId;
  }

  get sent(): ReadonlyMap<bigint, SentTemplate> {
    return this.#sent;
  }

  /** Takes one line. */
  read(text: string): void {
    if (text === "") return;
    try {
      const line = JSON.parse(text) as Line;
      if ("firstId" in line) this.#firstId ??= BigInt(line.firstId);
      else if ("id" in line) this.#readTemplate(line);
      else this.#transactions.set(line.wtxid, transactionOf(line));
    } catch {
      // Torn by a crash, or damaged: what it said is lost, as it would be without the file.
    }
  }

  #readTemplate(line: TemplateLine): void {
    const id = BigInt(line.id);
    this.#firstId ??= id;
    const transactions = line.transactions.map((wtxid) => this.#transactions.get(wtxid));
    if (!transactions.every((transaction) => transaction !== undefined)) return;
    this.#sent.set(id, { template: templateOf(line, transactions), headerTimestamp: line.headerTimestamp });
  }
}

function templateOf(line: TemplateLine, transactions: readonly MempoolTransaction[]): BlockTemplate {
  const { id: _, headerTimestamp: __, ...fields } = line;
  return {
    ...fields,
    prevHash: hash(fromHex(line.prevHash)),
    target: targetFromBits(line.bits),
    coinbasePrefix: fromHex(line.coinbasePrefix),
    valueRemaining: BigInt(line.valueRemaining),
    outputs: fromHex(line.outputs),
    merklePath: line.merklePath.map((sibling) => hash(fromHex(sibling))),
    transactions,
    fees: transactions.reduce((sum, { fee }) => sum + fee, 0n),
  };
}

function transactionOf(line: TransactionLine): MempoolTransaction {
  const { weight, sigopsCost } = line;
  return {
    bytes: fromHex(line.bytes),
    txid: hash(fromHex(line.txid)),
    wtxid: hash(fromHex(line.wtxid)),
    fee: BigInt(line.fee),
    weight,
    sigopsCost,
  };
}
