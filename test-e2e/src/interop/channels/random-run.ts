import { type Hash, meetsTarget } from "@adit/bitcoin";
import { type ClientJob, VERSION_ROLLING_MASK } from "@adit/channels";
import type { Random } from "../../harness/random.ts";
import type { Command } from "./commands.ts";
import { type Given, isBlock, type ScenarioMaker, type ShareCommand } from "./scenario.ts";

/** How far ahead a share's time may be, in seconds. */
const NTIME_WINDOW = 7_200;

/** What a share is meant to be. */
export type ShareKind = (typeof shareKinds)[number];

/** Kinds of shares that a scenario makes, those that count more often. */
export const shareKinds = [
  "valid",
  "valid",
  "valid",
  "valid, of a past job",
  "valid, with rolled version bits",
  "valid, as late as may be",
  "a block",
  "stale",
  "duplicate",
  "low",
  "of a version with other bits",
  "with an extranonce of another size",
  "too early",
  "too late",
  "of a future job",
  "of an unknown job",
  "of a forgotten job",
  "too early and of a version with other bits",
] as const;

/** Random commands: mostly shares of every kind, among templates, tips, targets and prefixes. */
export class RandomRun {
  readonly #maker: ScenarioMaker;
  readonly #random: Random;
  /** Shares that count on the present tip. */
  readonly #counted: ShareCommand[] = [];
  #given: Given[] = [];

  constructor(maker: ScenarioMaker, random: Random) {
    this.#maker = maker;
    this.#random = random;
  }

  /** Commands with `shares` shares among them, each with what it is meant to be. */
  *commands(shares: number): Generator<readonly [Command, ShareKind | undefined], void, undefined> {
    const random = this.#random;
    for (const command of [this.#maker.template(true), this.#maker.prevHash()]) yield [command, undefined];
    const openings = [
      { extended: true, grouped: true },
      { extended: false, grouped: true },
      { extended: false, grouped: false },
      { extended: true, grouped: false, custom: true },
      { extended: true, grouped: true },
      { extended: false, grouped: false },
    ] as const;
    for (const [name, opening] of openings.slice(0, 4).entries()) yield [this.#maker.open(name, opening), undefined];
    for (const future of [true, false]) yield* this.#work(this.#maker.template(future));
    yield* this.#customJobs();
    for (let made = 0; made < shares; ) {
      if (random.oneIn(9)) yield* this.#work(this.#maker.template(random.oneIn(3)));
      if (random.oneIn(60)) yield* this.#newTip();
      if (random.oneIn(9)) yield* this.#customJobs();
      if (random.oneIn(40)) yield [this.#maker.update(this.#anyChannel()), undefined];
      if (random.oneIn(40)) yield [this.#maker.rotate(this.#anyChannel()), undefined];
      const opening = openings[this.#maker.channels.length];
      if (opening !== undefined && random.oneIn(100))
        yield [this.#maker.open(this.#maker.channels.length, opening), undefined];
      const kind = random.pick(shareKinds);
      const command = this.#ofKind(kind);
      if (command === undefined) continue;
      made += 1;
      yield [command, kind];
    }
    for (const channel of this.#maker.channels) yield [{ do: "totals", channel }, undefined];
  }

  *#work(command: Command): Generator<readonly [Command, undefined], void, undefined> {
    yield [command, undefined];
    for (const channel of this.#maker.channels) {
      const job = this.#maker.ours.job(channel, this.#maker.newestTemplate);
      if (job !== undefined) this.#given.push({ channel, template: this.#maker.newestTemplate, job });
    }
  }

  *#newTip(): Generator<readonly [Command, undefined], void, undefined> {
    yield* this.#work(this.#maker.template(true));
    const before = this.#maker.newestTemplate - 1;
    const isOther = this.#random.oneIn(3) && this.#given.some((given) => given.template === before && isFuture(given));
    this.#given = this.#given.filter(({ job }) => job.state !== "stale");
    yield [this.#maker.prevHash(isOther ? { template: before } : {}), undefined];
    this.#counted.length = 0;
    // Their pool tells such channels of a tip by their next job only.
    yield* this.#customJobs();
  }

  *#customJobs(): Generator<readonly [Command, undefined], void, undefined> {
    for (const channel of this.#maker.declaring) {
      const command = this.#maker.custom(channel);
      yield [command, undefined];
      const job = this.#maker.ours.job(channel, command.template);
      if (job !== undefined) this.#given.push({ channel, template: command.template, job });
    }
  }

  #ofKind(kind: ShareKind): Command | undefined {
    const random = this.#random;
    const active = this.#anyGiven((given) => given.job.state === "active");
    if (active === undefined) return undefined;
    const { minNtime, version } = active.job;
    const past = this.#anyGiven((given) => given.job.state === "past" && this.#isKept(given));
    switch (kind) {
      case "valid":
        return this.#count(this.#maker.shareOf(active, { ntime: minNtime + random.upTo(60) }));
      case "valid, of a past job":
        return past && this.#count(this.#maker.shareOf(past, {}));
      case "valid, with rolled version bits":
        return this.#count(this.#maker.shareOf(active, { version: rolled(version, random) }));
      case "valid, as late as may be":
        return this.#count(this.#maker.shareOf(active, { ntime: minNtime + NTIME_WINDOW }));
      case "a block":
        return this.#count(this.#maker.shareOf(active, { accept: isBlock }));
      case "stale": {
        const stale = this.#anyGiven(({ job }) => job.state === "stale" && job.nbits !== 0);
        return (
          stale &&
          this.#maker.shareOf(stale, {
            accept: (hash, job) => meetsTarget(hash, job.targetBytes) && !isBlock(hash, job),
          })
        );
      }
      case "duplicate":
        return this.#counted.length === 0 ? undefined : this.#maker.again(random.pick(this.#counted));
      case "low":
        return this.#maker.shareOf(past ?? active, { accept: (hash, job) => !meetsTarget(hash, job.targetBytes) });
      case "of a version with other bits":
        return this.#maker.shareOf(active, { version: otherVersion(version, random), accept: noBlock });
      case "with an extranonce of another size": {
        const extended = this.#anyGiven(
          ({ channel, job }) => this.#maker.isExtended(channel) && job.state === "active",
        );
        const right = this.#maker.ours.settings.full_extranonce_size - 4;
        const extranonceSize = random.pick([0, right - 1, right + 1, 32]);
        return extended && this.#maker.shareOf(extended, { extranonceSize, accept: noBlock });
      }
      case "too early":
        return this.#maker.shareOf(active, { ntime: minNtime - 1 - random.upTo(9), accept: noBlock });
      case "too late":
        return this.#maker.shareOf(active, { ntime: minNtime + 2 * NTIME_WINDOW + random.upTo(9), accept: noBlock });
      case "of a future job": {
        const future = this.#anyGiven(isFuture);
        return future && { ...this.#maker.shareOf(active, {}), channel: active.channel, template: future.template };
      }
      case "of an unknown job":
        return { ...this.#maker.shareOf(active, {}), template: 0 };
      case "of a forgotten job": {
        const forgotten = this.#anyGiven((given) => given.job.state === "past" && !this.#isKept(given));
        return forgotten && this.#maker.shareOf(forgotten, { accept: noBlock });
      }
      case "too early and of a version with other bits":
        return this.#maker.shareOf(active, {
          ntime: minNtime - 1,
          version: otherVersion(version, random),
          accept: noBlock,
        });
      default:
        return kind satisfies never;
    }
  }

  /** Whether a past job is among those that a server of these settings keeps. */
  #isKept({ channel, template }: Given): boolean {
    const newer = this.#given.filter(
      (other) => other.channel === channel && other.template > template && other.job.state === "past",
    );
    return newer.length < this.#maker.ours.settings.max_past_jobs;
  }

  #anyGiven(wanted: (given: Given) => boolean): Given | undefined {
    const found = this.#given.filter(wanted);
    return found.length === 0 ? undefined : this.#random.pick(found);
  }

  #anyChannel(): number {
    return this.#random.upTo(this.#maker.channels.length - 1);
  }

  #count(command: ShareCommand): ShareCommand {
    this.#counted.push(command);
    return command;
  }
}

function isFuture({ job }: Given): boolean {
  return job.state === "future";
}

function noBlock(hash: Hash, job: ClientJob): boolean {
  return !isBlock(hash, job);
}

function rolled(version: number, random: Random): number {
  return ((version & ~VERSION_ROLLING_MASK) | (random.uint32() & VERSION_ROLLING_MASK)) >>> 0;
}

/** With one of the bits changed that no miner may roll. */
function otherVersion(version: number, random: Random): number {
  return (version ^ random.pick([1, 2, 4, 8, 16, 0x20000000, 0x40000000, 0x80000000])) >>> 0;
}
