import { FrameLine } from "../frame-line.ts";
import { quantile } from "../measure.ts";
import { openEnd, variants } from "./variants.ts";

/** How much is measured at once. */
export interface Amounts {
  /** Connections that are set up, one after the other. */
  readonly setups: number;
  readonly roundTrips: number;
  /** Milliseconds from one echo to the next; 0 asks for the next when one is back. */
  readonly everyMs: number;
  readonly frames: number;
  readonly bulkBytes: number;
}

/** What the client's process is asked for: a round of measurements over one variant, or connections that stay. */
export type ClientRequest =
  | { readonly type: "measure"; readonly variant: number; readonly amounts: Amounts }
  | { readonly type: "hold"; readonly variant: number; readonly connections: number };

/** What was measured: times in nanoseconds, rates a second. */
export interface Measured {
  readonly setup: number;
  readonly p50: number;
  readonly p99: number;
  readonly frames: number;
  readonly megabytes: number;
}

/** Its answer. */
export type ClientMessage =
  | { readonly type: "ready" }
  | { readonly type: "measured"; readonly measured: Measured }
  | { readonly type: "held" };

const [host = "", maxConnections = "", addressesJson = "", authorityJson = ""] = process.argv.slice(2);
const addresses = JSON.parse(addressesJson) as readonly (string | null)[];
const authority = Uint8Array.from(JSON.parse(authorityJson) as readonly number[]);
const end = await openEnd(host, Number(maxConnections));
const held: FrameLine[] = [];

process.on("message", (request: ClientRequest) => void answerRequest(request));
process.once("disconnect", () => process.exit());
tell({ type: "ready" });

async function answerRequest(request: ClientRequest): Promise<void> {
  if (request.type === "measure") {
    tell({ type: "measured", measured: await measure(request.variant, request.amounts) });
    return;
  }
  for (let count = 0; count < request.connections; count++) {
    const line = await open(request.variant);
    await line.roundTrips({ count: 1, pauseMs: 0 });
    held.push(line);
  }
  tell({ type: "held" });
}

async function measure(variant: number, amounts: Amounts): Promise<Measured> {
  const setups: number[] = [];
  for (let count = 0; count < amounts.setups; count++) {
    const started = performance.now();
    const line = await open(variant);
    await line.roundTrips({ count: 1, pauseMs: 0 });
    setups.push((performance.now() - started) * 1e6);
    await line[Symbol.asyncDispose]();
  }
  const line = await open(variant);
  try {
    const { everyMs, roundTrips: count } = amounts;
    const times = await (everyMs === 0
      ? line.roundTrips({ count, pauseMs: 0 })
      : line.pacedRoundTrips({ count, everyMs }));
    return {
      setup: quantile(setups, 0.5),
      p50: quantile(times, 0.5),
      p99: quantile(times, 0.99),
      frames: await line.framesPerSecond(amounts.frames),
      megabytes: await line.megabytesPerSecond(amounts.bulkBytes),
    };
  } finally {
    await line[Symbol.asyncDispose]();
  }
}

async function open(variant: number): Promise<FrameLine> {
  const [chosen, address] = [variants[variant], addresses[variant]];
  if (chosen === undefined || address === undefined || address === null) {
    throw new Error(`variant ${variant} is not served`);
  }
  return new FrameLine(await chosen.dial(end, address, authority));
}

function tell(message: ClientMessage): void {
  process.send?.(message);
}
