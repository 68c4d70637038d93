/** Lines on a terminal that are drawn over each time, in plain ANSI. Disposing gives the cursor back. */
export class Redraw implements Disposable {
  readonly #output: NodeJS.WriteStream;
  #height = 0;

  constructor(output: NodeJS.WriteStream) {
    this.#output = output;
    output.write("\u001b[?25l");
  }

  /** Draws lines, none wider than the terminal, where the last ones were. */
  draw(lines: readonly string[]): void {
    const up = this.#height === 0 ? "" : `\u001b[${this.#height}A`;
    this.#output.write(`${up}\r${lines.map((line) => `${line}\u001b[K`).join("\n")}\n\u001b[J`);
    this.#height = lines.length;
  }

  /** Leaves what is drawn, and puts a line under it. */
  note(text: string): void {
    this.#output.write(`${text}\n`);
    this.#height = 0;
  }

  [Symbol.dispose](): void {
    this.#output.write("\u001b[?25h");
  }
}
