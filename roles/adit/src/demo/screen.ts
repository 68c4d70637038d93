import { Redraw } from "../redraw.ts";
import { type DemoResult, resultOf, type Snapshot } from "./snapshot.ts";
import { renderLine, renderView } from "./view.ts";

/** Where the demo shows itself. */
export interface Screen extends Disposable {
  show(snapshot: Snapshot): void;
  note(text: string): void;
}

/** A live view on a terminal, plain lines elsewhere. */
export function openScreen(output: NodeJS.WriteStream): Screen {
  return output.isTTY ? new LiveScreen(output) : new PlainScreen(output);
}

/** Redraws in place, once for each snapshot. */
class LiveScreen implements Screen {
  readonly #output: NodeJS.WriteStream;
  readonly #redraw: Redraw;

  constructor(output: NodeJS.WriteStream) {
    this.#output = output;
    this.#redraw = new Redraw(output);
  }

  show(snapshot: Snapshot): void {
    this.#redraw.draw(renderView(snapshot, this.#output.columns));
  }

  note(text: string): void {
    this.#redraw.note(text);
  }

  [Symbol.dispose](): void {
    this.#redraw[Symbol.dispose]();
  }
}

/** A line when something has changed, and every ten seconds all the same. */
class PlainScreen implements Screen {
  readonly #output: NodeJS.WriteStream;
  #last: { readonly key: string; readonly seconds: number } | undefined;

  constructor(output: NodeJS.WriteStream) {
    this.#output = output;
  }

  show(snapshot: Snapshot): void {
    const key = keyOf(snapshot, resultOf(snapshot));
    if (this.#last?.key === key && snapshot.seconds - this.#last.seconds < 10) return;
    this.#last = { key, seconds: snapshot.seconds };
    this.#output.write(`${renderLine(snapshot)}\n`);
  }

  note(text: string): void {
    this.#output.write(`${text}\n`);
  }

  [Symbol.dispose](): void {}
}

function keyOf(snapshot: Snapshot, result: DemoResult): string {
  return JSON.stringify([snapshot.roles.map(({ state }) => state), { ...result, seconds: 0 }]);
}
