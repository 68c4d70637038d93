import { type FileHandle, mkdir, open, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { decodeTransaction, fromHex, hex, transactionWeight, txid, wtxid } from "@adit/bitcoin";
import type { SentTemplate } from "../template-client.ts";
import { assembleTemplate, type CoinbaseRoom } from "./block-template.ts";
import type { ChainTip } from "./chain-tip.ts";
import type { MempoolTransaction } from "./synthetic-transaction.ts";

/** Where the chain stands; what was sent for anything else is of no use any more. */
export interface TemplatesOf {
  readonly tip: ChainTip;
  /** Compact target. */
  readonly bits: number;
}

/** Templates that former processes sent. */
export interface FormerTemplates {
  /** The first id that was ever given out; undefined when none was. */
  readonly firstId: bigint | undefined;
  /** Those on the present tip, by id, oldest first. */
  readonly sent: ReadonlyMap<bigint, SentTemplate>;
}

const FILE_NAME = "templates.jsonl";
/** Half of what is kept: when the newer file is full, the older one goes. */
const MAX_FILE_BYTES = 32 * 1024 * 1024;

/**
 * Templates of the present tip that clients were sent, so that a solution for one still makes a block after the process
 * was killed. It is written without waiting for the disk: that outlives the process, and after a power cut the clients
 * get new templates as they always do.
 */
export class TemplateFile implements AsyncDisposable {
  /** What was there when it was opened. */
  readonly former: FormerTemplates;
  readonly #path: string;
  readonly #maxBytes: number;
  #file: FileHandle;
  #firstId: bigint | undefined;
  #bytes: number;

  private constructor(
    file: FileHandle,
    from: {
      readonly path: string;
      readonly bytes: number;
      readonly maxBytes: number;
      readonly former: FormerTemplates;
    },
  ) {
    this.#file = file;
    this.#path = from.path;
    this.#bytes = from.bytes;
    this.#maxBytes = from.maxBytes;
    this.former = from.former;
    this.#firstId = from.former.firstId;
  }

  /** Opens the file in a chain's folder. Lines that are not whole are passed over. Errors of the file system as they are. */
  static async open(folder: string, of: TemplatesOf, maxBytes: number = MAX_FILE_BYTES): Promise<TemplateFile> {
    await mkdir(folder, { recursive: true });
    const path = join(folder, FILE_NAME);
    const lines = [...(await linesOf(`${path}.old`)), ...(await linesOf(path))];
    const file = await open(path, "a");
    const { size: bytes } = await file.stat();
    return new TemplateFile(file, { path, bytes, maxBytes, former: formerOf(lines, of) });
  }

  /** Adds a template before it is sent. One call at a time, as all of these. */
  async add(templateId: bigint, sent: SentTemplate): Promise<void> {
    this.#firstId ??= templateId;
    if (this.#bytes > this.#maxBytes) await this.#rotate();
    await this.#write(lineOf(templateId, sent));
  }

  /** Forgets all templates: the tip has moved on. */
  async clear(): Promise<void> {
    await this.#file.truncate(0);
    await rm(`${this.#path}.old`, { force: true });
    this.#bytes = 0;
    if (this.#firstId !== undefined) await this.#write({ firstId: this.#firstId.toString() });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file.close();
  }

  async #rotate(): Promise<void> {
    await this.#file.close();
    await rename(this.#path, `${this.#path}.old`);
    this.#file = await open(this.#path, "a");
    this.#bytes = 0;
    await this.#write({ firstId: this.#firstId?.toString() });
  }

  /** Starts with a newline, so that it is whole whatever a torn line before it lacks. */
  async #write(line: object): Promise<void> {
    const bytes = new TextEncoder().encode(`\n${JSON.stringify(line)}\n`);
    await this.#file.appendFile(bytes);
    this.#bytes += bytes.length;
  }
}

interface TemplateLine {
  readonly id: string;
  readonly prevHash: string;
  readonly bits: number;
  readonly headerTimestamp: number;
  readonly room: CoinbaseRoom;
  readonly transactions: readonly { readonly bytes: string; readonly fee: string; readonly sigopsCost: number }[];
}

function lineOf(templateId: bigint, { template, headerTimestamp }: SentTemplate): TemplateLine {
  const { prevHash, bits, room, transactions } = template;
  return {
    id: templateId.toString(),
    prevHash: hex(prevHash),
    bits,
    headerTimestamp,
    room,
    transactions: transactions.map(({ bytes, fee, sigopsCost }) => ({
      bytes: hex(bytes),
      fee: fee.toString(),
      sigopsCost,
    })),
  };
}

async function linesOf(path: string): Promise<readonly string[]> {
  try {
    return (await readFile(path, "utf8")).split("\n");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}

function formerOf(lines: readonly string[], of: TemplatesOf): FormerTemplates {
  const sent = new Map<bigint, SentTemplate>();
  let firstId: bigint | undefined;
  for (const line of lines) {
    const read = readLine(line, of);
    if (read === undefined) continue;
    firstId ??= read.id;
    if (read.sent !== undefined) sent.set(read.id, read.sent);
  }
  return { firstId, sent };
}

/** Undefined when the line is not whole; without `sent` when its template is for another tip or target. */
function readLine(
  text: string,
  { tip, bits }: TemplatesOf,
): { readonly id: bigint; readonly sent: SentTemplate | undefined } | undefined {
  try {
    const line = JSON.parse(text) as Partial<TemplateLine> & { readonly firstId?: string };
    if (line.firstId !== undefined) return { id: BigInt(line.firstId), sent: undefined };
    const { id, prevHash, headerTimestamp, room, transactions } = line as TemplateLine;
    if (prevHash !== hex(tip.hash) || line.bits !== bits) return { id: BigInt(id), sent: undefined };
    const template = assembleTemplate({ tip, bits, waiting: transactions.map(transactionOf), room });
    return { id: BigInt(id), sent: { template, headerTimestamp } };
  } catch {
    return undefined;
  }
}

function transactionOf({ bytes, fee, sigopsCost }: TemplateLine["transactions"][number]): MempoolTransaction {
  const raw = fromHex(bytes);
  const tx = decodeTransaction(raw);
  return { bytes: raw, txid: txid(tx), wtxid: wtxid(tx), fee: BigInt(fee), weight: transactionWeight(tx), sigopsCost };
}
