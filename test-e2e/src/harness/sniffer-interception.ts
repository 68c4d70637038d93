import type { DialectMessage, Protocol } from "@adit/codec";
import {
  type Direction,
  ifWanted,
  type MessageLike,
  type MessagePattern,
  type Sighting,
  type SightingOf,
  type Where,
} from "./sniffer-sighting.ts";
import type { Patience, Trace } from "./sniffer-trace.ts";

/** What to do with a frame. */
export type Verdict<P extends Protocol> =
  | { readonly fate: "passed" | "dropped" | "cut" }
  | { readonly fate: "replaced"; readonly messages: readonly DialectMessage<P>[] }
  /** Goes on as it came once `released` resolves; everything behind it waits, too. */
  | { readonly fate: "held"; readonly released: Promise<void> };

/** A frame's verdict and the interception it came from. */
export type Judgement<P extends Protocol> = Verdict<P> & { readonly by: unknown };

/** Decides on the messages an interception takes. */
export type Act<P extends Protocol, N extends MessagePattern<P>> = (sighting: SightingOf<P, N>) => Verdict<P>;

/** Which of the messages of a name are intercepted. */
export interface Selection<P extends Protocol, N extends MessagePattern<P>> {
  /** Only those it is true for. */
  readonly where?: Where<P, N>;
  /** This many of them; all, unless told. */
  readonly times?: number;
}

/** What an interception is made of. */
export interface InterceptionParts<P extends Protocol, N extends MessagePattern<P>> extends Selection<P, N> {
  readonly direction: Direction;
  readonly name: N;
  readonly act: Act<P, N>;
  readonly trace: Trace<P>;
}

/** Something done to messages, until it is disposed of or has had its number of them. */
export class Interception<P extends Protocol, N extends MessagePattern<P>> implements Disposable {
  readonly #parts: InterceptionParts<P, N>;
  readonly #since: number;
  #isOver = false;
  #count = 0;

  constructor(parts: InterceptionParts<P, N>) {
    this.#parts = parts;
    this.#since = parts.trace.mark();
  }

  /** Messages it has taken so far. */
  get count(): number {
    return this.#count;
  }

  /** Resolves to the first message it has taken or takes. Rejects, showing the trace, after too long a wait. */
  async caught(patience: Patience = {}): Promise<MessageLike<P, N>> {
    const { direction, name, trace } = this.#parts;
    const what = `${name} ${direction}, to intercept it`;
    return await trace.next(
      (entry) => (entry.type === "seen" && entry.by === this ? (entry.message as MessageLike<P, N>) : undefined),
      { ...patience, since: this.#since, what },
    );
  }

  /** The verdict on a frame, if it is for this interception. Throws what the scenario's own functions throw. */
  judge(sighting: Sighting<P>): Verdict<P> | undefined {
    const { times = Number.POSITIVE_INFINITY, act } = this.#parts;
    if (this.#isOver || this.#count >= times) return undefined;
    const wanted = ifWanted(sighting, this.#parts);
    if (wanted === undefined) return undefined;
    this.#count += 1;
    return act(wanted);
  }

  /** Leaves messages alone from now on. */
  [Symbol.dispose](): void {
    this.#isOver = true;
  }
}

/** An interception that holds messages up, and everything behind them on their connection and way. */
export class Hold<P extends Protocol, N extends MessagePattern<P>> extends Interception<P, N> {
  readonly #release: () => void;

  constructor(parts: Omit<InterceptionParts<P, N>, "act">) {
    let release = (): void => {};
    const released = new Promise<void>((resolve) => {
      release = resolve;
    });
    super({ ...parts, act: () => ({ fate: "held", released }) });
    this.#release = release;
  }

  /** Lets go of what it holds, and of all that follows. */
  release(): void {
    this[Symbol.dispose]();
  }

  override [Symbol.dispose](): void {
    super[Symbol.dispose]();
    this.#release();
  }
}

/** Whatever decides on frames. */
interface Judge<P extends Protocol> {
  judge(sighting: Sighting<P>): Verdict<P> | undefined;
}

/** The interceptions of a sniffer. */
export class Interceptions<P extends Protocol> {
  readonly #all: Judge<P>[] = [];

  /** Of several that want a message, the one added last has it. */
  add<I extends Judge<P>>(interception: I): I {
    this.#all.unshift(interception);
    return interception;
  }

  /** Throws what the scenario's own functions throw. */
  judge(sighting: Sighting<P>): Judgement<P> {
    for (const by of this.#all) {
      const verdict = by.judge(sighting);
      if (verdict !== undefined) return { ...verdict, by };
    }
    return { fate: "passed", by: undefined };
  }
}
