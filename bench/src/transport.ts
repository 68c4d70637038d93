import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { secureInitiator } from "@adit/network-helpers";
import { BATCH, BULK, FrameLine, SMALL } from "./frame-line.ts";
import { quantile } from "./measure.ts";
import type { BenchOptions, Row, Suite } from "./suite.ts";
import { type LinkAddress, type LinkName, openLinks } from "./transport-links.ts";
import type { ServerReady } from "./transport-server.ts";

const IDLE_MS = 10;
const never = new AbortController().signal;

/** TCP and Iroh side by side, with Noise and without, between two processes over loopback. */
export const transport: Suite = {
  async *run(options) {
    await using ends = await openLinks();
    const server = fork(fileURLToPath(new URL("./transport-server.ts", import.meta.url)));
    const { addresses, withoutIroh } = await readyOrGone(server);
    const lines: Line[] = [];
    try {
      for (const { name, address, authorityPublicKey } of addresses) {
        const link = ends.links.find((other) => other.name === name);
        if (link === undefined) continue;
        const stream = await link.transport.dial(address, { signal: never });
        const security = link.clientSecurity(Uint8Array.from(authorityPublicKey));
        lines.push(new Line(name, new FrameLine(await secureInitiator(stream, security, { signal: never }))));
      }
      const notes = [
        "client and server are two processes on one machine; no network in between",
        `Noise by ${ends.crypto}`,
        ...(withoutIroh === undefined ? [] : [`without Iroh: ${withoutIroh}`]),
      ];
      yield* measureLines(lines, options, notes);
    } finally {
      for (const line of lines) await line.close();
      server.disconnect();
    }
  },
};

async function readyOrGone(server: ChildProcess): Promise<ServerReady> {
  const gone = once(server, "exit").then(() => {
    throw new Error("the server's process ended before it was ready");
  });
  const [ready] = (await Promise.race([once(server, "message"), gone])) as [ServerReady];
  gone.catch(() => {});
  return ready;
}

async function* measureLines(
  lines: readonly Line[],
  options: BenchOptions,
  notes: readonly string[],
): ReturnType<Suite["run"]> {
  const { quick, rounds } = options;
  for (let round = 0; round <= rounds; round++) {
    for (const line of round % 2 === 0 ? lines : lines.toReversed()) {
      await line.roundTrips("back to back", { count: quick ? 200 : 2_000, pauseMs: 0 });
      await line.roundTrips(`one in ${IDLE_MS} ms`, { count: quick ? 20 : 200, pauseMs: IDLE_MS });
      await line.coalesced(quick ? 6_400 : 64_000);
      await line.bulk(quick ? 1 << 20 : 8 << 20);
      // What the first round measures is a cold process.
      if (round === 0) line.forget();
    }
  }
  const rows = (what: string): readonly Row[] => lines.flatMap((line) => line.row(what, lines));
  yield {
    title: `Round trip of a frame of ${SMALL} bytes`,
    unit: "ns of waiting",
    rows: ["back to back, p50", "back to back, p99", `one in ${IDLE_MS} ms, p50`, `one in ${IDLE_MS} ms, p99`].flatMap(
      rows,
    ),
    notes,
  };
  yield {
    title: `Frames of ${SMALL} bytes one way, ${BATCH} a call`,
    unit: "frames/s",
    rows: rows("frames"),
    notes: [],
  };
  yield { title: `Bulk one way, frames of ${BULK / 1024} KiB`, unit: "MB/s", rows: rows("bulk"), notes: [] };
}

/** One open connection and what was measured over it. */
class Line {
  readonly name: LinkAddress["name"];
  readonly #line: FrameLine;
  readonly #samples = new Map<string, number[]>();

  constructor(name: LinkAddress["name"], line: FrameLine) {
    this.name = name;
    this.#line = line;
  }

  /** Ends the connection. */
  async close(): Promise<void> {
    await this.#line[Symbol.asyncDispose]();
  }

  /** Drops the samples so far. */
  forget(): void {
    this.#samples.clear();
  }

  /** The samples of one measurement, compared with plain TCP or with the same security over TCP. */
  row(what: string, lines: readonly Line[]): readonly Row[] {
    const labelOf = (name: LinkName): string => `${what}: ${name}`;
    const samples = this.#samples.get(what) ?? [];
    const baselines = baselinesOf(this.name).filter((name) => lines.some((line) => line.name === name));
    return [{ label: labelOf(this.name), against: baselines.map(labelOf), samples }];
  }

  /** Echoes one frame after the other and notes the median and the 99th percentile. */
  async roundTrips(what: string, options: { readonly count: number; readonly pauseMs: number }): Promise<void> {
    const times = await this.#line.roundTrips(options);
    this.#note(`${what}, p50`, quantile(times, 0.5));
    this.#note(`${what}, p99`, quantile(times, 0.99));
  }

  /** Sends small frames as fast as the writer takes them. */
  async coalesced(count: number): Promise<void> {
    this.#note("frames", await this.#line.framesPerSecond(count));
  }

  /** Sends large frames. */
  async bulk(size: number): Promise<void> {
    this.#note("bulk", await this.#line.megabytesPerSecond(size));
  }

  #note(what: string, value: number): void {
    this.#samples.set(what, [...(this.#samples.get(what) ?? []), value]);
  }
}

function baselinesOf(name: LinkName): readonly LinkName[] {
  switch (name) {
    case "TCP":
      return [];
    case "TCP + Noise":
    case "Iroh":
      return ["TCP"];
    case "Iroh + Noise":
      return ["TCP + Noise", "Iroh"];
    default:
      return name satisfies never;
  }
}
