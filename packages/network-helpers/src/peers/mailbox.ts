import type { MessageOutcome, PeerOutbox } from "./effects.ts";
import { MIN_MESSAGE_BYTES, type PeerOptions } from "./options.ts";

/** A message that is not settled yet; its content is with the shell. */
interface Letter {
  readonly id: number;
  readonly bytes: number;
  readonly expiresAt: number;
  /** Deliveries that have failed. */
  failures: number;
}

/**
 * The unsettled messages of one peer, oldest first, one of them at most in delivery, and always the oldest. When full it
 * refuses the newest: its sender is there to be told, and what was taken in first stays first. Pure.
 */
export class Mailbox {
  readonly #options: Pick<PeerOptions, "maxBufferedBytes" | "messageTtlMs" | "messageAttempts">;
  readonly #out: PeerOutbox;
  readonly #letters: Letter[] = [];
  #bytes = 0;
  #delivering = false;
  #stopped = false;

  constructor(options: Pick<PeerOptions, "maxBufferedBytes" | "messageTtlMs" | "messageAttempts">, out: PeerOutbox) {
    this.#options = options;
    this.#out = out;
  }

  /** Messages that are not settled. */
  get size(): number {
    return this.#letters.length;
  }

  /** What they count as. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Whether the oldest is in delivery. */
  get delivering(): boolean {
    return this.#delivering;
  }

  /** When the first of those not in delivery expires; `Infinity` when there is none. */
  get dueAt(): number {
    return this.#letters[this.#delivering ? 1 : 0]?.expiresAt ?? Number.POSITIVE_INFINITY;
  }

  /** Takes a message in, or refuses it. */
  push(id: number, size: number, now: number): void {
    const bytes = Math.max(size, MIN_MESSAGE_BYTES);
    const { maxBufferedBytes, messageTtlMs } = this.#options;
    if (bytes > maxBufferedBytes) this.#settle(id, { kind: "refused", reason: "message-too-large" });
    else if (this.#bytes + bytes > maxBufferedBytes) this.#settle(id, { kind: "refused", reason: "buffer-full" });
    else {
      this.#letters.push({ id, bytes, expiresAt: now + messageTtlMs, failures: 0 });
      this.#bytes += bytes;
    }
  }

  /** The oldest is in delivery from now on; its number, or undefined when there is none or one is in delivery already. */
  begin(): number | undefined {
    const [first] = this.#letters;
    if (first === undefined || this.#delivering) return undefined;
    this.#delivering = true;
    return first.id;
  }

  /** The one in delivery has arrived. */
  delivered(): void {
    this.#delivering = false;
    this.#settleFrom(0, 1, { kind: "delivered" });
  }

  /** The one in delivery has not arrived: it waits again, at the head, unless it has had its attempts or its time. */
  failed(error: Error, now: number): void {
    const [first] = this.#letters;
    if (first === undefined) return;
    this.#delivering = false;
    first.failures++;
    const { failures: attempts } = first;
    if (attempts >= this.#options.messageAttempts) this.#settleFrom(0, 1, { kind: "dropped", attempts, error });
    if (this.#stopped) this.stop();
    else this.expire(now);
  }

  /** Settles those that have waited too long; one in delivery is not judged before its outcome is known. */
  expire(now: number): void {
    const from = this.#delivering ? 1 : 0;
    let count = 0;
    while ((this.#letters[from + count]?.expiresAt ?? Number.POSITIVE_INFINITY) <= now) count++;
    this.#settleFrom(from, count, { kind: "expired" });
  }

  /** Refuses all but the one in delivery, which is not tried again. */
  stop(): void {
    this.#stopped = true;
    this.#settleFrom(this.#delivering ? 1 : 0, this.size, { kind: "refused", reason: "stopped" });
  }

  #settleFrom(from: number, count: number, outcome: MessageOutcome): void {
    if (count === 0) return;
    for (const { id, bytes } of this.#letters.splice(from, count)) {
      this.#bytes -= bytes;
      this.#settle(id, outcome);
    }
  }

  #settle(message: number, outcome: MessageOutcome): void {
    this.#out.add({ type: "settle", message, outcome });
  }
}
