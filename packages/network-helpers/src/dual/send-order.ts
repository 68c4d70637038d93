import {
  classOf,
  classStream,
  type MessageNumbers,
  type OrderClass,
  type OrderRules,
  orderRules,
  type StreamName,
} from "./message-order.ts";

/** Where a frame goes, and what the receiver must be told in front of it. */
export interface Placed {
  readonly stream: StreamName;
  /** Frames of the other stream that come before it; null when the stream has said as much already. */
  readonly after: number | null;
}

/**
 * The sender's half of the order. Pure. It counts what went to each stream and remembers where each class was last: a
 * frame comes after the last one of every class that it does not overtake. As a stream keeps its own order, what was said
 * once on a stream holds for all that follows, so the numbers of one stream only grow and few frames need one.
 */
export class SendOrder {
  readonly #rules: OrderRules;
  readonly #sent: Record<StreamName, number> = { control: 0, data: 0 };
  readonly #said: Record<StreamName, number> = { control: 0, data: 0 };
  /** How many frames its stream had sent with the last one of the class. */
  readonly #last = new Map<OrderClass, number>();

  constructor(rules: OrderRules = orderRules) {
    this.#rules = rules;
  }

  /** Takes the next frame of the connection. */
  place(message: MessageNumbers): Placed {
    const itsClass = classOf(message);
    const stream = classStream[itsClass];
    this.#sent[stream] += 1;
    this.#last.set(itsClass, this.#sent[stream]);
    let after = 0;
    for (const earlier of this.#rules[itsClass]) after = Math.max(after, this.#last.get(earlier) ?? 0);
    if (after <= this.#said[stream]) return { stream, after: null };
    this.#said[stream] = after;
    return { stream, after };
  }

  /** Frames placed so far. */
  get sent(): number {
    return this.#sent.control + this.#sent.data;
  }
}
