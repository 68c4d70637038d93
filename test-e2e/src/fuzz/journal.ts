import { closeSync, ftruncateSync, openSync, readFileSync, statSync, writeSync } from "node:fs";
import { type StoredInput, storedInput } from "./input-form.ts";

/**
 * The input a process is busy with, in a file: it is still there when the process hangs or is gone. Its time of change is
 * the process's sign of life.
 */
export class Journal implements Disposable {
  readonly #file: number;

  constructor(path: string) {
    this.#file = openSync(path, "w");
  }

  /** Notes an input before it is taken. */
  note(input: unknown): void {
    const { form, input: text } = storedInput(input);
    this.#write(`${form} ${text}\n`);
  }

  /** Notes that no input is being taken. */
  idle(): void {
    this.#write("idle \n");
  }

  [Symbol.dispose](): void {
    closeSync(this.#file);
  }

  #write(line: string): void {
    writeSync(this.#file, line, 0, "latin1");
    ftruncateSync(this.#file, line.length);
  }
}

/** What a journal says: the input that was being taken, if one was, and when it was noted, in unix milliseconds. */
export function readJournal(path: string): { readonly input: StoredInput | undefined; readonly at: number } {
  const [form, input = ""] = readFileSync(path, "latin1").trimEnd().split(" ");
  const { mtimeMs: at } = statSync(path);
  return { input: form === "bytes" || form === "steps" ? { form, input } : undefined, at };
}
