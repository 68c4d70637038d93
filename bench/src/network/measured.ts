import type { Unit } from "./table.ts";

/** What one round of measurements over a variant gives: times in nanoseconds, rates a second. */
export interface Measured {
  readonly setup: number;
  readonly p50: number;
  readonly p99: number;
  readonly sharesP50: number;
  readonly sharesP90: number;
  readonly sharesP99: number;
  readonly fullP50: number;
  readonly fullP99: number;
  readonly frames: number;
  readonly megabytes: number;
}

/** How each of them stands in the table. */
export const measurements: readonly {
  readonly what: string;
  readonly key: keyof Measured;
  readonly unit: Unit;
}[] = [
  { what: "connection set-up, to the first echo", key: "setup", unit: "ns" },
  { what: "round trip of 100 bytes, p50", key: "p50", unit: "ns" },
  { what: "round trip of 100 bytes, p99", key: "p99", unit: "ns" },
  { what: "control beside 500 frames a second, p50", key: "sharesP50", unit: "ns" },
  { what: "control beside 500 frames a second, p90", key: "sharesP90", unit: "ns" },
  { what: "control beside 500 frames a second, p99", key: "sharesP99", unit: "ns" },
  { what: "control beside a full stream, p50", key: "fullP50", unit: "ns" },
  { what: "control beside a full stream, p99", key: "fullP99", unit: "ns" },
  { what: "frames of 100 bytes a second", key: "frames", unit: "frames/s" },
  { what: "MB a second in frames of 64 KiB", key: "megabytes", unit: "MB/s" },
];
