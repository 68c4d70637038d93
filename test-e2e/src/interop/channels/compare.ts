import { targetFromBytes, targetFromHashrate } from "@adit/bitcoin";
import { peerValues } from "../peer-lines.ts";
import type { Answer, Command, Settings, ShareAnswer, TemplateAnswer, Totals } from "./commands.ts";
import type { OurChannels } from "./our-channels.ts";
import { miningMessage } from "./payload.ts";

/** A command with what both sides made of it. */
export interface Exchange {
  readonly command: Command;
  readonly ours: Answer;
  readonly theirs: Answer;
}

/** Tells channels-peer what our side is told, in the same order, and yields both answers. */
export async function* exchanges(
  ours: OurChannels,
  commands: Iterable<Command>,
): AsyncGenerator<Exchange, void, undefined> {
  const answered: { readonly command: Command; readonly ours: Answer }[] = [];
  const lines = function* (): Generator<string, void, undefined> {
    yield JSON.stringify(ours.settings);
    for (const command of commands) {
      answered.push({ command, ours: ours.answer(command) });
      yield JSON.stringify(command);
    }
  };
  for await (const theirs of peerValues<Answer>("channels-peer", [], lines())) {
    const next = answered.shift();
    if (next === undefined) throw new Error(`channels-peer says unasked: ${JSON.stringify(theirs)}`);
    yield { ...next, theirs };
  }
  if (answered.length > 0) throw new Error(`channels-peer left ${answered.length} commands without an answer`);
}

/** Brings both sides' answers into a form in which they must be equal. */
export class Comparison {
  readonly #sharesPerMinute: number;
  /** Standard channels that mine the group's jobs. */
  readonly #grouped = new Set<number>();

  constructor(settings: Settings) {
    this.#sharesPerMinute = settings.shares_per_minute;
  }

  /** Ours and theirs, to be given in the order in which they were said; job and channel ids are each side's own. */
  of({ command, ours, theirs }: Exchange): readonly [unknown, unknown] {
    if ((command.do === "open" || command.do === "update") && "target" in ours && "target" in theirs) {
      if (command.do === "open" && command.grouped && !command.extended) this.#grouped.add(command.channel);
      return [true, isSameTarget(command.nominal_hash_rate, this.#sharesPerMinute, theirs.target)];
    }
    if (command.do === "template" && isTemplateAnswer(ours) && isTemplateAnswer(theirs)) {
      return ours.group === null ? [ours.channels, theirs.channels] : [jobsOf(ours), jobsOf(theirs)];
    }
    if (command.do === "totals") return [rounded(ours as Totals), rounded(theirs as Totals)];
    if (command.do === "share" && this.#grouped.has(command.channel)) {
      return [withoutCoinbase(ours), withoutCoinbase(theirs)];
    }
    return [ours, theirs];
  }
}

/** In the coinbase of a standard channel's block on a job of its group the crates repeat the template's outputs. */
function withoutCoinbase(answer: Answer): unknown {
  const { block, ...verdict } = answer as ShareAnswer;
  return { ...verdict, block: block?.template };
}

/** The crates take the hashes of a share for a whole number, and count one target fewer: 2^256 - 1 where we have 2^256. */
function isSameTarget(hashrate: number, sharesPerMinute: number, theirs: unknown): boolean {
  const hashes = Math.floor((hashrate * 60) / sharesPerMinute);
  const whole = targetFromHashrate(hashes, 60);
  const difference = whole - targetFromBytes(Buffer.from(String(theirs), "hex"));
  return difference === 0n || difference === 1n;
}

function isTemplateAnswer(answer: Answer): answer is TemplateAnswer {
  return "group" in answer;
}

function jobsOf({ group, channels }: TemplateAnswer): unknown {
  const named = Object.entries(channels).map(([channel, told]) => {
    if (told === null || told.length === 64) return [channel, told];
    const { channelId: _, jobId: __, ...job } = miningMessage("NewMiningJob", told);
    return [channel, job];
  });
  const { channelId: _, jobId: __, ...job } = miningMessage("NewExtendedMiningJob", group ?? "");
  return { job, channels: Object.fromEntries(named) as unknown };
}

function rounded({ difficulty_sum: sum, ...counts }: Totals): unknown {
  return { ...counts, difficulty_sum: sum.toPrecision(9) };
}
