import type { TranslatorBooks } from "./books.ts";

/** A line of the log, as far as it is read here. */
export interface TranslatorLine {
  readonly msg: string;
  readonly pid?: unknown;
  readonly channelId?: unknown;
  readonly sequenceNumber?: unknown;
  readonly lastSequenceNumber?: unknown;
  readonly count?: unknown;
  readonly hash?: unknown;
  readonly errorCode?: unknown;
}

/**
 * What became of each share that a translator sent to its pool, by its debug log. The log is written line by line before
 * the translator goes on, so a kill takes none of it. Processes are told apart by their pid.
 */
export function readTranslatorLog(lines: readonly TranslatorLine[]): TranslatorBooks {
  const reader = new Reader();
  for (const line of lines) reader.read(line);
  return reader.books();
}

class Reader {
  readonly #acknowledged = new Set<string>();
  readonly #refused = new Map<string, string>();
  readonly #inDoubt = new Set<string>();
  readonly #faults: string[] = [];
  /** By channel, then by sequence number. */
  readonly #open = new Map<number, Map<number, string>>();
  #pid: unknown;

  read(line: TranslatorLine): void {
    if (line.pid !== this.#pid) this.#lose();
    this.#pid = line.pid;
    const channelId = Number(line.channelId);
    switch (line.msg) {
      case "share sent upstream":
        this.#channel(channelId).set(Number(line.sequenceNumber), String(line.hash));
        return;
      case "shares acknowledged by the upstream":
        return this.#acknowledge(channelId, Number(line.lastSequenceNumber), Number(line.count));
      case "share rejected by the upstream":
        return this.#refuse(channelId, Number(line.sequenceNumber), String(line.errorCode));
      case "upstream lost; miners stay connected":
        return this.#lose();
      case "upstream closed a channel; another is asked for":
        return this.#loseChannel(channelId);
      default:
    }
  }

  books(): TranslatorBooks {
    const open = [...this.#open.values()].flatMap((channel) => [...channel.values()]);
    return {
      acknowledged: this.#acknowledged,
      refused: this.#refused,
      inDoubt: new Set([...this.#inDoubt, ...open]),
      faults: this.#faults,
    };
  }

  #channel(channelId: number): Map<number, string> {
    const known = this.#open.get(channelId);
    if (known !== undefined) return known;
    const channel = new Map<number, string>();
    this.#open.set(channelId, channel);
    return channel;
  }

  #acknowledge(channelId: number, last: number, count: number): void {
    const channel = this.#channel(channelId);
    const answered = [...channel].filter(([sequenceNumber]) => sequenceNumber <= last);
    for (const [sequenceNumber, hash] of answered) {
      channel.delete(sequenceNumber);
      if (this.#acknowledged.has(hash)) this.#faults.push(`${hash} was acknowledged to the translator twice`);
      this.#acknowledged.add(hash);
    }
    if (answered.length !== count) {
      this.#faults.push(`the translator was acknowledged ${count} shares when ${answered.length} were open`);
    }
  }

  #refuse(channelId: number, sequenceNumber: number, reason: string): void {
    const channel = this.#channel(channelId);
    const hash = channel.get(sequenceNumber);
    channel.delete(sequenceNumber);
    if (hash !== undefined) this.#refused.set(hash, reason);
  }

  #lose(): void {
    for (const channelId of this.#open.keys()) this.#loseChannel(channelId);
  }

  #loseChannel(channelId: number): void {
    for (const hash of this.#open.get(channelId)?.values() ?? []) this.#inDoubt.add(hash);
    this.#open.delete(channelId);
  }
}
