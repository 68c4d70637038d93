import type { DialectMessage, Protocol, Tlv } from "@adit/codec";
import { frameLine, messageLine } from "./sniffer-line.ts";
import type { Direction, Sighting } from "./sniffer-sighting.ts";

/** A message that the sniffer itself sent, in place of another or unasked. */
export interface Said<P extends Protocol> {
  readonly type: "said";
  readonly connection: number;
  readonly direction: Direction;
  /** Milliseconds since the sniffer started. */
  readonly at: number;
  readonly message: DialectMessage<P>;
  readonly tlvs: readonly Tlv[];
}

/** The end of a connection, on both sides at once. */
export interface Ended {
  readonly type: "ended";
  readonly connection: number;
  /** Milliseconds since the sniffer started. */
  readonly at: number;
  /** Who ended it. */
  readonly by: "downstream" | "upstream" | "sniffer";
  readonly reason: string;
}

/** Whatever else happened. */
export interface Note {
  readonly type: "note";
  /** Null when it is about the sniffer. */
  readonly connection: number | null;
  /** Milliseconds since the sniffer started. */
  readonly at: number;
  readonly text: string;
}

/** One line of a trace. */
export type Entry<P extends Protocol> = Sighting<P> | Said<P> | Ended | Note;

/** How long to wait for something. */
export interface Patience {
  /** Ends the wait; after a minute, unless told. */
  readonly signal?: AbortSignal;
}

/** A place in a trace: everything behind it came after it was made. */
export type Mark = number;

/** How much a trace remembers. The oldest entries go first. */
export interface TraceLimits {
  readonly entries: number;
  /** Bytes of payload. */
  readonly bytes: number;
}

const LIMITS: TraceLimits = { entries: 20_000, bytes: 64 << 20 };
/** Longest wait unless told. */
const PATIENCE_MS = 60_000;
/** Lines of a trace that a failure shows. */
const SHOWN_LINES = 200;

/** What came by, in order; answers who asks for something that came by or is yet to come. */
export class Trace<P extends Protocol> {
  readonly #limits: TraceLimits;
  readonly #entries: Entry<P>[] = [];
  readonly #waiters = new Set<(entry: Entry<P>) => void>();
  #forgotten = 0;
  #bytes = 0;

  constructor(limits: TraceLimits = LIMITS) {
    this.#limits = limits;
  }

  /** The end of the trace as it is now. */
  mark(): Mark {
    return this.#forgotten + this.#entries.length;
  }

  add(entry: Entry<P>): void {
    this.#entries.push(entry);
    this.#bytes += sizeOf(entry);
    while (this.#entries.length > this.#limits.entries || this.#bytes > this.#limits.bytes) this.#forget();
    for (const offer of this.#waiters) offer(entry);
  }

  /** What came behind a mark. Throws when some of it is forgotten. */
  entries(since: Mark): readonly Entry<P>[] {
    if (since < this.#forgotten) throw new Error(`the trace has forgotten its first ${this.#forgotten} entries`);
    return this.#entries.slice(since - this.#forgotten);
  }

  /**
   * The first entry behind a mark for which `match` has an answer: that answer, or undefined when there is none. Throws
   * when entries behind the mark were forgotten, and what `match` throws.
   */
  find<T>(match: (entry: Entry<P>) => T | undefined, since: Mark): T | undefined {
    for (const entry of this.entries(since)) {
      const answer = match(entry);
      if (answer !== undefined) return answer;
    }
    return undefined;
  }

  /**
   * {@link find}, and waits for it to come. Rejects when it has to wait too long, with `what` was awaited and the trace
   * in its message.
   */
  async next<T>(
    match: (entry: Entry<P>) => T | undefined,
    options: Patience & { readonly since: Mark; readonly what: string },
  ): Promise<T> {
    const { since, what, signal = AbortSignal.timeout(PATIENCE_MS) } = options;
    const found = this.find(match, since);
    if (found !== undefined) return found;
    return await new Promise<T>((resolve, reject) => {
      const settle = (act: () => void): void => {
        this.#waiters.delete(offer);
        signal.removeEventListener("abort", giveUp);
        act();
      };
      const giveUp = (): void => settle(() => reject(this.failure(`waited in vain for ${what}`, signal.reason)));
      const offer = (entry: Entry<P>): void => {
        try {
          const answer = match(entry);
          if (answer !== undefined) settle(() => resolve(answer));
        } catch (error) {
          settle(() => reject(error));
        }
      };
      this.#waiters.add(offer);
      signal.addEventListener("abort", giveUp);
      if (signal.aborted) giveUp();
    });
  }

  /** An error that shows the trace. */
  failure(what: string, cause?: unknown): Error {
    return new Error(`${what}; the trace:\n${this.text(SHOWN_LINES)}`, { cause });
  }

  /** The newest entries, a line each. */
  text(lines: number = this.#entries.length): string {
    const shown = this.#entries.slice(-lines);
    const before = this.#forgotten + this.#entries.length - shown.length;
    return [...(before > 0 ? [`(${before} entries before)`] : []), ...shown.map(lineOf)].join("\n");
  }

  #forget(): void {
    const oldest = this.#entries.shift();
    this.#bytes -= oldest === undefined ? 0 : sizeOf(oldest);
    this.#forgotten += 1;
  }
}

function sizeOf(entry: Entry<Protocol>): number {
  return entry.type === "seen" ? entry.frame.payload.length : 0;
}

const arrow: Readonly<Record<Direction, string>> = { up: "->", down: "<-" };

function lineOf(entry: Entry<Protocol>): string {
  const time = `${(entry.at / 1000).toFixed(3).padStart(8)} s`;
  const who = entry.connection === null ? "" : ` #${entry.connection}`;
  return `${time}${who} ${whatIn(entry)}`;
}

function whatIn(entry: Entry<Protocol>): string {
  switch (entry.type) {
    case "seen": {
      const { message, tlvs, frame, fate, direction } = entry;
      const what = message === undefined ? frameLine(frame) : messageLine(message, tlvs);
      return `${arrow[direction]} ${what}${fate === "passed" ? "" : ` [${fate}]`}`;
    }
    case "said":
      return `${arrow[entry.direction]} ${messageLine(entry.message, entry.tlvs)} [by the sniffer]`;
    case "ended":
      return `ended by the ${entry.by}: ${entry.reason}`;
    case "note":
      return entry.text;
    default:
      return entry satisfies never;
  }
}
