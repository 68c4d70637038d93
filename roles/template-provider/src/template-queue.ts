import { dialect, type TemplateDistributionMessage } from "@adit/codec";

interface Waiting {
  readonly message: TemplateDistributionMessage;
  readonly frame: Uint8Array;
}

/** Encoded once per client: its templates follow its own constraints. */
const templates = dialect("template_distribution");

/**
 * What waits to be written to one client. A client that reads slowly gets the newest template: one that is superseded
 * before it was written is dropped. Answers to its own requests are never dropped, so they are bounded in bytes.
 */
export class TemplateQueue {
  readonly #maxBytes: number;
  #waiting: Waiting[] = [];
  #ahead: readonly Uint8Array[] = [];
  #bytes = 0;
  #wake: (() => void) | undefined;
  #ended = false;
  #finished = false;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Bytes that wait. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Adds messages; `overflow` when that is more than may wait, and the client should be closed. */
  push(messages: readonly TemplateDistributionMessage[]): "queued" | "overflow" {
    if (this.#finished) return "queued";
    for (const message of messages) {
      this.#waiting = this.#waiting.filter((earlier) => !supersedes(message, earlier.message));
      this.#waiting.push({ message, frame: templates.encode(message) });
    }
    this.#bytes = this.#waiting.reduce((sum, { frame }) => sum + frame.length, 0);
    this.#wake?.();
    return this.#bytes > this.#maxBytes ? "overflow" : "queued";
  }

  /** Adds a frame that goes out before what waits. */
  pushFirst(frame: Uint8Array): void {
    this.#ahead = [...this.#ahead, frame];
    this.#wake?.();
  }

  /** Everything that waits, as soon as there is something; undefined once the queue has ended. One caller at a time. */
  async take(): Promise<readonly Uint8Array[] | undefined> {
    while (this.#isEmpty && !this.#ended && !this.#finished) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    if (this.#isEmpty || this.#ended) return undefined;
    const frames = [...this.#ahead, ...this.#waiting.map(({ frame }) => frame)];
    this.#ahead = [];
    this.#waiting = [];
    this.#bytes = 0;
    return frames;
  }

  /** Nothing more is added; what waits is taken still. */
  finish(): void {
    this.#finished = true;
    this.#wake?.();
  }

  /** Nothing more will be taken. */
  end(): void {
    this.#ended = true;
    this.#waiting = [];
    this.#bytes = 0;
    this.#wake?.();
  }

  get #isEmpty(): boolean {
    return this.#waiting.length === 0 && this.#ahead.length === 0;
  }
}

/** A future template begins a new tip, so that nothing said of the old one matters; another one replaces its like. */
function supersedes(message: TemplateDistributionMessage, earlier: TemplateDistributionMessage): boolean {
  if (message.name !== "NewTemplate") return false;
  if (message.futureTemplate) return earlier.name === "NewTemplate" || earlier.name === "SetNewPrevHash";
  return earlier.name === "NewTemplate" && !earlier.futureTemplate;
}
