import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { Answer, Command, Settings } from "./interop/channels/commands.ts";
import { Comparison } from "./interop/channels/compare.ts";
import { OurChannels } from "./interop/channels/our-channels.ts";

interface Sample {
  readonly source: string;
  readonly settings: Settings;
  readonly answers: readonly (readonly [Command, Answer])[];
}

const sample = JSON.parse(readFileSync(join(import.meta.dirname, "vectors/channels-sv2.json"), "utf8")) as Sample;

test("our channels answer as channels_sv2 did when it was recorded", () => {
  const ours = new OurChannels(sample.settings);
  const comparison = new Comparison(sample.settings);
  const shares = sample.answers.map(([command, theirs], at) => {
    const [own, their] = comparison.of({ command, ours: ours.answer(command), theirs });
    expect(own, `command ${at}: ${JSON.stringify(command)}`).toEqual(their);
    return command.do === "share";
  });
  expect(shares.filter(Boolean)).toHaveLength(60);
});
