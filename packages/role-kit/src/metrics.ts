import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";

/** Name, help and labels of a metric. Label values must come from a closed set, never from a user identity. */
export interface MetricDescription<Label extends string> {
  /** Prometheus name with its unit as suffix: `sv2_pool_shares_accepted_total`. */
  readonly name: string;
  /** One sentence for the operator. */
  readonly help: string;
  readonly labels?: readonly Label[];
}

/** A count that only grows. */
export interface CounterMetric<Label extends string = never> {
  inc(labels: Readonly<Record<Label, string>>, by?: number): void;
}

/** A value that goes up and down. */
export interface GaugeMetric<Label extends string = never> {
  set(labels: Readonly<Record<Label, string>>, value: number): void;
  /** Forgets every label set, for gauges that are collected afresh at each scrape. */
  reset(): void;
}

/** A distribution. */
export interface HistogramMetric<Label extends string = never> {
  observe(labels: Readonly<Record<Label, string>>, value: number): void;
}

/** Where a role's metrics table registers; one a process. */
export interface MetricsRegister {
  counter<Label extends string = never>(description: MetricDescription<Label>): CounterMetric<Label>;
  gauge<Label extends string = never>(description: MetricDescription<Label>): GaugeMetric<Label>;
  histogram<Label extends string = never>(
    description: MetricDescription<Label> & { readonly buckets: readonly number[] },
  ): HistogramMetric<Label>;
  /** Runs before each scrape, to set gauges from live state. */
  onCollect(collect: () => void): void;
  /** Amends the exposition text, by samples that were counted elsewhere; what was registered last amends last. */
  onExpose(amend: (page: string) => string): void;
  /** The exposition text and its content type. */
  expose(): Promise<{ readonly contentType: string; readonly body: string }>;
}

/** A register with Node's own process metrics in it. */
export function metricsRegister(): MetricsRegister {
  const registry = new Registry();
  const collectors: (() => void)[] = [];
  const amendments: ((page: string) => string)[] = [];
  collectDefaultMetrics({ register: registry });
  return {
    counter: (description) => {
      const counter = new Counter({ ...shared(description), registers: [registry] });
      return { inc: (labels, by = 1) => counter.inc(labels, by) };
    },
    gauge: (description) => {
      const gauge = new Gauge({ ...shared(description), registers: [registry] });
      return { set: (labels, value) => gauge.set(labels, value), reset: () => gauge.reset() };
    },
    histogram: (description) => {
      const histogram = new Histogram({
        ...shared(description),
        buckets: [...description.buckets],
        registers: [registry],
      });
      return { observe: (labels, value) => histogram.observe(labels, value) };
    },
    onCollect: (collect) => {
      collectors.push(collect);
    },
    onExpose: (amend) => {
      amendments.push(amend);
    },
    expose: async () => {
      for (const collect of collectors) collect();
      const page = await registry.metrics();
      return { contentType: registry.contentType, body: amendments.reduce((text, amend) => amend(text), page) };
    },
  };
}

function shared<Label extends string>(
  description: MetricDescription<Label>,
): { name: string; help: string; labelNames: Label[] } {
  return { name: description.name, help: description.help, labelNames: [...(description.labels ?? [])] };
}
