import { readdirSync } from "node:fs";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { setTimeout as pause } from "node:timers/promises";
import { hex } from "@adit/bitcoin";
import type { IrohNodeManager } from "@adit/network-helpers/iroh";
import { loopbackNode } from "../harness/dial.ts";
import type { Link, LinkEvents } from "./link.ts";
import type { Group, GroupCounts, SeatSpec, ToWorker, WorkerReport } from "./messages.ts";
import { groups } from "./messages.ts";
import { type Departure, Seat } from "./seat.ts";
import { breakOffSv1, Sv1Link } from "./sv1-link.ts";
import { breakOffSv2, Sv2Link } from "./sv2-link.ts";
import { Causes, type GroupTally, groupTallies } from "./tally.ts";

const TURN_MS = 25;
/** Turns after which every miner has had its own. */
const TURNS = 10;
const REPORT_MS = 1_000;
const LEAVE_MS = 15_000;
const TIPS_REMEMBERED = 8;
const departures: readonly Departure[] = ["clean", "reset", "mid-handshake"];

type Begin = Extract<ToWorker, { type: "begin" }>;

/** Many miners in one process, told what to do by its parent. */
class Worker {
  readonly #tallies: Readonly<Record<Group, GroupTally>> = groupTallies();
  readonly #faults = new Causes();
  readonly #delay = monitorEventLoopDelay({ resolution: 10 });
  readonly #tips = new Map<string, number>();
  #seats: Seat[] = [];
  #nodes: IrohNodeManager[] = [];
  #runs: Promise<void>[] = [];
  #isCalm = false;
  #isHashing = true;
  #churn: NodeJS.Timeout | undefined;
  #turn = 0;

  async handle(message: ToWorker): Promise<void> {
    switch (message.type) {
      case "begin":
        return await this.#begin(message);
      case "calm":
        this.#isCalm = message.calm;
        return;
      case "churn":
        clearInterval(this.#churn);
        this.#churn =
          message.perSecond > 0 ? setInterval(() => this.#sendOneAway(), 1000 / message.perSecond) : undefined;
        return;
      case "quiesce":
        this.#isHashing = false;
        return;
      case "leave":
        return await this.#leave();
      default:
        message satisfies never;
    }
  }

  async #begin(begin: Begin): Promise<void> {
    this.#delay.enable();
    for (let node = 0; node < begin.nodes; node += 1) this.#nodes.push(await loopbackNode());
    setInterval(() => process.send?.(this.#report()), REPORT_MS);
    this.#seats = begin.seats.map((spec) => new Seat(this.#contextOf(spec, begin)));
    const perTurn = (begin.hashrate * TURN_MS * TURNS) / 1000;
    setInterval(() => this.#hash(Math.max(1, Math.round(perTurn))), TURN_MS);
    for (const seat of this.#seats) {
      this.#runs.push(seat.run());
      await pause(1000 / begin.arrivalsPerSecond);
    }
  }

  #contextOf(spec: SeatSpec, begin: Begin): ConstructorParameters<typeof Seat>[0] {
    const { targets, hashrate } = begin;
    const tally = this.#tallies[spec.group];
    const shared = {
      spec,
      tally,
      faults: this.#faults,
      isCalm: () => this.#isCalm,
      newTip: (prevHash: Uint8Array) => this.#newTip(prevHash, tally),
    };
    if (spec.group === "sv1-via-tcp" || spec.group === "sv1-via-iroh") {
      const address = targets.sv1[spec.group];
      return {
        ...shared,
        dial: (events: LinkEvents): Promise<Link> => Sv1Link.dial(address, spec.identity, events),
        breakOff: () => breakOffSv1(address),
      };
    }
    const node = spec.group === "sv2-iroh" ? this.#nodes[spec.node] : undefined;
    const dialler = { spec, targets, node, hashrate };
    return {
      ...shared,
      dial: (events: LinkEvents): Promise<Link> => Sv2Link.dial(dialler, events),
      breakOff: () => breakOffSv2(dialler),
    };
  }

  #hash(count: number): void {
    if (!this.#isHashing) return;
    this.#turn = (this.#turn + 1) % TURNS;
    for (let index = this.#turn; index < this.#seats.length; index += TURNS) this.#seats[index]?.hash(count);
  }

  #sendOneAway(): void {
    const seat = this.#seats[Math.floor(Math.random() * this.#seats.length)];
    seat?.depart(departures[Math.floor(Math.random() * departures.length)] ?? "clean");
  }

  #newTip(prevHash: Uint8Array, tally: GroupTally): void {
    const key = hex(prevHash);
    const now = performance.now();
    const first = this.#tips.get(key);
    if (first === undefined) {
      this.#tips.set(key, now);
      for (const oldest of this.#tips.keys()) {
        if (this.#tips.size <= TIPS_REMEMBERED) break;
        this.#tips.delete(oldest);
      }
      return;
    }
    tally.spread.add(now - first);
  }

  async #leave(): Promise<void> {
    clearInterval(this.#churn);
    this.#seats.forEach((seat, index) => seat.stop(index % 2 === 0 ? "clean" : "reset"));
    await Promise.race([Promise.all(this.#runs), pause(LEAVE_MS)]);
    await Promise.all(this.#nodes.map((node) => node[Symbol.asyncDispose]()));
    const report = { ...this.#report(), seats: this.#seats.map((seat) => seat.counts()) };
    process.send?.(report, () => process.exit(0));
  }

  #report(): WorkerReport {
    const there = this.#seats.filter((seat) => !seat.isAway);
    const { heapUsed, rss } = process.memoryUsage();
    const lagMs = this.#delay.percentile(99) / 1e6;
    this.#delay.reset();
    return {
      type: "report",
      present: there.filter((seat) => seat.isMining).length,
      away: this.#seats.length - there.length,
      oldestJobAt: there.reduce((oldest, seat) => Math.min(oldest, seat.lastJobAt), Date.now()),
      pending: there.reduce((sum, seat) => sum + seat.pending, 0),
      groups: Object.fromEntries(groups.map((group) => [group, this.#tallies[group].counts()])) as Record<
        Group,
        GroupCounts
      >,
      faults: this.#faults.record(),
      heapBytes: heapUsed,
      rssBytes: rss,
      fds: readdirSync("/proc/self/fd").length,
      lagMs,
    };
  }
}

const worker = new Worker();
process.on("message", (message: ToWorker) => {
  worker.handle(message).catch((error: unknown) => {
    process.stderr.write(`soak worker: ${error instanceof Error ? error.stack : String(error)}\n`);
    process.exit(1);
  });
});
// Ctrl-C reaches the whole group; the parent says when to go, and going with it is never wrong.
process.on("SIGINT", () => {});
process.on("disconnect", () => process.exit(0));
