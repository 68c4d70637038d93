import { decodeHeader, messageNames, messageSets, type Protocol } from "@adit/codec";
import type { CounterMetric } from "@adit/role-kit";

type Direction = "in" | "out";

/** Labels of the messages counter, all from the codec's table. */
export type MessageLabel = "protocol" | "message" | "direction";

/** Counts messages by name and direction. Sums are handed to the metrics at each scrape, as shares are too many for more. */
export class MessageMeter {
  readonly #metric: CounterMetric<MessageLabel>;
  readonly #counts: Record<Direction, Map<number, number>> = { in: new Map(), out: new Map() };

  constructor(metric: CounterMetric<MessageLabel>) {
    this.#metric = metric;
  }

  /** A message of a connection of `protocol` came or went. */
  message(protocol: Protocol, name: string, direction: Direction): void {
    const key = numbers[protocol].get(name);
    if (key !== undefined) this.#add(key, direction);
  }

  /** Encoded frames went. */
  framesOut(frames: readonly Uint8Array[]): void {
    for (const frame of frames) {
      const { extensionType, messageType } = decodeHeader(frame);
      this.#add(numberOf(extensionType, messageType), "out");
    }
  }

  /** Hands what was counted since the last call to the metric. */
  collect(): void {
    for (const direction of ["in", "out"] as const) {
      const counts = this.#counts[direction];
      for (const { protocol, name, extensionType, type } of messageNames) {
        const by = counts.get(numberOf(extensionType, type));
        if (by !== undefined) this.#metric.inc({ protocol, message: name, direction }, by);
      }
      counts.clear();
    }
  }

  #add(key: number, direction: Direction): void {
    const counts = this.#counts[direction];
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
}

function numberOf(extensionType: number, type: number): number {
  return extensionType * 256 + type;
}

/** Numbers by name for each protocol: two messages share a name, never within one protocol. Looked up for every message. */
const numbers: Readonly<Record<Protocol, ReadonlyMap<string, number>>> = {
  mining: numbersIn("mining"),
  job_declaration: numbersIn("job_declaration"),
  template_distribution: numbersIn("template_distribution"),
};

function numbersIn(protocol: Protocol): ReadonlyMap<string, number> {
  const sets = [messageSets.extensions_negotiation, messageSets.common, messageSets[protocol]];
  const rows = sets.flatMap((set) => Object.entries(set.rows));
  return new Map(rows.map(([name, { extensionType, type }]) => [name, numberOf(extensionType, type)]));
}
