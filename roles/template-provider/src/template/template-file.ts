import { type FileHandle, mkdir, open, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { hex } from "@adit/bitcoin";
import type { SentTemplate } from "../template-client.ts";
import { type FormerTemplates, type Line, TemplateLines, templateLine, transactionLine } from "./template-lines.ts";

const FILE_NAME = "templates.jsonl";
/** Half of what is kept: when the newer file is full, the older one goes. */
const MAX_FILE_BYTES = 32 * 1024 * 1024;
/** Calls that wait for the disk; of more, the newest are refused. */
const MAX_WAITING = 16;

/**
 * Templates that clients were sent, so that a solution for one still makes a block after the process was killed. A
 * transaction is written once for all templates that have it. It is written without waiting for the disk: that outlives
 * the process, and after a power cut the clients get new templates as they always do.
 */
export class TemplateFile implements AsyncDisposable {
  /** What was there when it was opened. */
  readonly former: FormerTemplates;
  readonly #path: string;
  readonly #maxBytes: number;
  /** Transactions that the newer file has, by wtxid. */
  readonly #written = new Set<string>();
  #file: FileHandle;
  #firstId: bigint | undefined;
  #bytes: number;
  #last: Promise<void> = Promise.resolve();
  #waiting = 0;

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

  /** Opens the file in a folder. Lines that are not whole are passed over. Errors of the file system as they are. */
  static async open(folder: string, maxBytes: number = MAX_FILE_BYTES): Promise<TemplateFile> {
    await mkdir(folder, { recursive: true });
    const path = join(folder, FILE_NAME);
    const lines = new TemplateLines();
    for (const name of [`${path}.old`, path]) for (const line of await linesOf(name)) lines.read(line);
    const file = await open(path, "a");
    const { size: bytes } = await file.stat();
    return new TemplateFile(file, { path, bytes, maxBytes, former: lines });
  }

  /** Adds a template before it is sent. Rejects when the disk fails, or keeps too many calls waiting. */
  add(templateId: bigint, sent: SentTemplate): Promise<void> {
    return this.#inOrder(() => this.#add(templateId, sent));
  }

  /** The tip has moved on, so that nothing in the file is needed; it is emptied when that is worth it. Rejects as {@link add}. */
  leaveTip(): Promise<void> {
    return this.#inOrder(() => this.#leaveTip());
  }

  /** Closes the file once what was begun is written. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#last;
    await this.#file.close();
  }

  #inOrder(work: () => Promise<void>): Promise<void> {
    if (this.#waiting >= MAX_WAITING) return Promise.reject(new Error(`${this.#path}: the disk does not keep up`));
    this.#waiting += 1;
    const done = this.#last.then(work).finally(() => {
      this.#waiting -= 1;
    });
    this.#last = done.catch(() => {});
    return done;
  }

  async #add(templateId: bigint, sent: SentTemplate): Promise<void> {
    this.#firstId ??= templateId;
    if (this.#bytes > this.#maxBytes) await this.#rotate();
    const fresh = sent.template.transactions.filter(({ wtxid }) => !this.#written.has(hex(wtxid)));
    await this.#write([...fresh.map(transactionLine), templateLine(templateId, sent)]);
    for (const { wtxid } of fresh) this.#written.add(hex(wtxid));
  }

  async #leaveTip(): Promise<void> {
    if (this.#bytes <= this.#maxBytes / 2) return;
    await this.#file.truncate(0);
    await rm(`${this.#path}.old`, { force: true });
    await this.#begin();
  }

  async #rotate(): Promise<void> {
    await this.#file.close();
    await rename(this.#path, `${this.#path}.old`);
    this.#file = await open(this.#path, "a");
    await this.#begin();
  }

  async #begin(): Promise<void> {
    this.#bytes = 0;
    this.#written.clear();
    if (this.#firstId !== undefined) await this.#write([{ firstId: this.#firstId.toString() }]);
  }

  /** Starts with a newline, so that it is whole whatever a torn line before it lacks. */
  async #write(lines: readonly Line[]): Promise<void> {
    const text = lines.map((line) => `${JSON.stringify(line)}\n`).join("");
    const bytes = new TextEncoder().encode(`\n${text}`);
    await this.#file.appendFile(bytes);
    this.#bytes += bytes.length;
  }
}

async function linesOf(path: string): Promise<readonly string[]> {
  try {
    return (await readFile(path, "utf8")).split("\n");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}
