import { expect, test } from "vitest";
import { Bench } from "./testing/bench.ts";

test("the debug log says of every share when it was sent upstream and what the upstream answered", () => {
  const bench = new Bench({ pool: { shareBatchSize: 2 } });
  bench.newTip();
  bench.connect();
  const miner = bench.join();
  for (let share = 0; share < 4; share += 1) miner.mine();
  const logged = bench.effects.flatMap((effect) => (effect.type === "log" && effect.level === "debug" ? [effect] : []));
  const sent = logged.filter(({ event }) => event === "share sent upstream").map(({ fields }) => fields);
  const recorded = bench.recorded.map(({ hash, sequenceNumber, channelId }) => ({
    channelId,
    sequenceNumber,
    hash: Buffer.from(hash.toReversed()).toString("hex"),
  }));
  expect(recorded).toHaveLength(4);
  expect(sent).toEqual(recorded);
  const answers = logged.filter(({ event }) => event === "shares acknowledged by the upstream");
  expect(answers.map(({ fields }) => fields)).toMatchObject(
    [recorded[1], recorded[3]].map((last) => ({
      channelId: last?.channelId,
      lastSequenceNumber: last?.sequenceNumber,
      count: 2,
    })),
  );
});
