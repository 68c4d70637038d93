import { type Profiler, Session } from "node:inspector";

/** Start and end of a piece of code, in characters. */
interface Span {
  readonly start: number;
  readonly end: number;
}

/**
 * Which blocks of our own modules have run, as V8 counts them. Only code that is first compiled afterwards is counted by
 * the block, so it is started before the code under test is imported.
 */
export class Coverage implements Disposable {
  readonly #session = new Session();
  readonly #watched: RegExp;
  /** By function: the pieces of it that have never run. */
  readonly #missing = new Map<string, readonly Span[]>();

  /** `watched` tells the URLs of the modules that count. */
  constructor(watched: RegExp) {
    this.#watched = watched;
    this.#session.connect();
    this.#session.post("Profiler.enable");
    this.#session.post("Profiler.startPreciseCoverage", { callCount: true, detailed: true });
  }

  /** Functions that have run. */
  get functions(): number {
    return this.#missing.size;
  }

  /** What has run since the last call. */
  take(): readonly Profiler.ScriptCoverage[] {
    let result: readonly Profiler.ScriptCoverage[] = [];
    // The session is this thread's own, so the answer is there when the call returns.
    this.#session.post("Profiler.takePreciseCoverage", (error, taken) => {
      if (error !== null) throw error;
      result = taken.result.filter(({ url }) => this.#watched.test(url));
    });
    return result;
  }

  /** Whether something ran that never had. */
  isNew(taken: readonly Profiler.ScriptCoverage[]): boolean {
    return this.#news(taken).length > 0;
  }

  /** Remembers what ran; true when some of it was new. */
  absorb(taken: readonly Profiler.ScriptCoverage[]): boolean {
    const news = this.#news(taken);
    for (const { key, missing } of news) this.#missing.set(key, missing);
    return news.length > 0;
  }

  [Symbol.dispose](): void {
    this.#session.disconnect();
  }

  #news(taken: readonly Profiler.ScriptCoverage[]): readonly { readonly key: string; readonly missing: Span[] }[] {
    return taken.flatMap(({ scriptId, functions }) =>
      functions.flatMap(({ ranges }) => {
        const [whole] = ranges;
        if (whole === undefined || whole.count === 0) return [];
        const key = `${scriptId}:${whole.startOffset}-${whole.endOffset}`;
        const before = this.#missing.get(key);
        const now = uncovered(ranges);
        if (before === undefined) return [{ key, missing: now }];
        const missing = intersection(before, now);
        return length(missing) < length(before) ? [{ key, missing }] : [];
      }),
    );
  }
}

/** The pieces whose innermost range has not run. Ranges are nested and come outermost first. */
function uncovered(ranges: readonly Profiler.CoverageRange[]): Span[] {
  const edges = [...new Set(ranges.flatMap(({ startOffset, endOffset }) => [startOffset, endOffset]))];
  edges.sort((a, b) => a - b);
  const spans: Span[] = [];
  for (const [at, start] of edges.entries()) {
    const end = edges[at + 1];
    if (end === undefined) break;
    const innermost = ranges.findLast(({ startOffset, endOffset }) => startOffset <= start && endOffset >= end);
    if (innermost?.count === 0) spans.push({ start, end });
  }
  return spans;
}

function intersection(some: readonly Span[], others: readonly Span[]): Span[] {
  return some.flatMap((one) =>
    others.flatMap((other) => {
      const start = Math.max(one.start, other.start);
      const end = Math.min(one.end, other.end);
      return start < end ? [{ start, end }] : [];
    }),
  );
}

function length(spans: readonly Span[]): number {
  return spans.reduce((sum, { start, end }) => sum + end - start, 0);
}
