import { quantile } from "../measure.ts";
import type { Amounts } from "./conditions.ts";
import { FrameLine } from "./frame-line.ts";
import type { Measured } from "./measured.ts";
import { openEnd, variants } from "./variants.ts";

/** What the client's process is asked for: a round of measurements over one variant, or connections that stay. */
export type ClientRequest =
  | { readonly type: "measure"; readonly variant: number; readonly amounts: Amounts }
  | { readonly type: "hold"; readonly variant: number; readonly connections: number };

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
  for (let count = 0; count < request.connections; count++) held.push(await open(request.variant));
  tell({ type: "held" });
}

/** Each load breaks its connection, so each measurement has one of its own; all of them are set-ups to measure, too. */
async function measure(variant: number, amounts: Amounts): Promise<Measured> {
  const { roundTrips: count, everyMs, controls, controlEveryMs, patienceMs, bulkMs } = amounts;
  const setups: number[] = [];
  const over = async <Result>(use: (line: FrameLine) => Promise<Result>): Promise<Result> => {
    const started = performance.now();
    await using line = await open(variant);
    setups.push((performance.now() - started) * 1e6);
    return await use(line);
  };
  for (let done = 0; done < amounts.setups; done++) await over(async () => {});
  const pace = { count: controls, everyMs: controlEveryMs };
  const forMs = controls * controlEveryMs + patienceMs;
  const times = await over((line) =>
    everyMs === 0 ? line.roundTrips(count) : line.pacedRoundTrips({ count, everyMs }),
  );
  const shares = await over((line) => line.poured("shares", { forMs, controls: pace, untilAnswered: true }));
  const full = await over((line) => line.poured("small", { forMs, controls: pace }));
  const bulk = await over((line) => line.poured("bulk", { forMs: bulkMs }));
  return {
    setup: quantile(setups, 0.5),
    p50: quantile(times, 0.5),
    p99: quantile(times, 0.99),
    sharesP50: quantile(shares.controls, 0.5),
    sharesP90: quantile(shares.controls, 0.9),
    sharesP99: quantile(shares.controls, 0.99),
    fullP50: quantile(full.controls, 0.5),
    fullP99: quantile(full.controls, 0.99),
    frames: full.frames,
    megabytes: bulk.bytes / 1e6,
  };
}

/** A connection over which a frame has gone and come back. */
async function open(variant: number): Promise<FrameLine> {
  const [chosen, address] = [variants[variant], addresses[variant]];
  if (chosen === undefined || address === undefined || address === null) {
    throw new Error(`variant ${variant} is not served`);
  }
  const line = new FrameLine(await chosen.dial(end, address, authority));
  await line.roundTrips(1);
  return line;
}

function tell(message: ClientMessage): void {
  process.send?.(message);
}
