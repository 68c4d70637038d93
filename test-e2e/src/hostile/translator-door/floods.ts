import { expect, test } from "vitest";
import type { Sv1Client } from "../../harness/sv1-client.ts";
import { ELSEWHERE, PATIENCE_MS, PER_SOURCE, type Sv1DoorScene } from "../../harness/sv1-door-scene.ts";
import { findShare, submitParams, workOf } from "../../harness/sv1-work.ts";
import { until } from "../../harness/until.ts";

const NAME = "hostile.worker";

/** A hundred times what a miner is held at, for a second and what may come at once. */
const TOO_MANY = 1000;

/** Tests of what a translator makes of too much. */
export function floodsSuite(scene: () => Sv1DoorScene): void {
  /** Sends all of it at once from an authorized connection, which must not survive it. */
  async function drowns(lines: (client: Sv1Client) => Promise<string> | string, reason: RegExp): Promise<void> {
    const { translator } = scene();
    const from = translator.log().length;
    const client = await scene().authorized(NAME);
    client.send(await lines(client));
    await client.closed(PATIENCE_MS);
    await translator.logged(reason, from);
    client[Symbol.dispose]();
  }

  const many = (line: (at: number) => string): string => Array.from({ length: TOO_MANY }, (_, at) => line(at)).join("");

  test("takes so many connections of one address, refuses the rest, and still lets others in", async () => {
    const { translator } = scene();
    const from = translator.log().length;
    const dialled = await Promise.allSettled(
      Array.from({ length: 300 }, async (_, at) => {
        const client = await scene().dial(ELSEWHERE);
        if (at % 2 === 0) client.request(1, "mining.subscribe", ["hostile/1"]);
        return client;
      }),
    );
    const crowd = dialled.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
    await until("all but some are refused", () => crowd.filter(({ isClosed }) => !isClosed).length <= PER_SOURCE);
    await translator.logged(/max-miners-per-source/, from);
    using newcomer = await scene().authorized("honest.newcomer");
    await workOf(newcomer);
    for (const client of crowd) client[Symbol.dispose]();
  });

  test("hangs up on a flood of requests, and logs why", async () => {
    await drowns(() => many((id) => `{"id":${id},"method":"mining.ping","params":[]}\n`), /message-rate/);
    await drowns(() => many((id) => `{"id":${id},"method":"mining.subscribe","params":[]}\n`), /message-rate/);
    await drowns(
      () => many((id) => `{"id":${id},"method":"mining.authorize","params":["w${id}",""]}\n`),
      /message-rate/,
    );
    await drowns(() => many((id) => `{"id":${id},"method":"mining.get_transactions","params":[]}\n`), /message-rate/);
  });

  test("hangs up on shares at a hundred times the agreed rate, wrong ones or right ones", async () => {
    const submit = (id: number, params: readonly string[]): string =>
      `{"id":${id},"method":"mining.submit","params":${JSON.stringify(params)}}\n`;
    await drowns(async (client) => {
      const share = findShare(await workOf(client));
      return many((id) => submit(id + 10, submitParams(NAME, { ...share, nonce: id.toString(16).padStart(8, "0") })));
    }, /message-rate/);
    const before = await scene().status();
    await drowns(async (miner) => {
      const first = await workOf(miner);
      // A difficulty of next to nothing, which it is given because it asks.
      await miner.ask(3, "mining.suggest_difficulty", [1e-9]);
      const easy = await until("another difficulty", async () => {
        const work = await workOf(miner);
        return work.difficulty < first.difficulty && work;
      });
      let nonce = 0;
      return many((id) => {
        const share = findShare(easy, nonce);
        nonce = Number.parseInt(share.nonce, 16) + 1;
        return submit(id + 10, submitParams(NAME, share));
      });
    }, /message-rate/);
    const after = await scene().status();
    const taken = after.shares_accepted - before.shares_accepted;
    expect(taken).toBeGreaterThan(100);
    expect(taken).toBeLessThan(TOO_MANY / 2);
    // Of such shares few are worth anything to the pool, and those few are all it hears of.
    expect(after.shares_submitted - before.shares_submitted).toBeLessThan(taken / 2);
  });

  test("hangs up on who asks and never reads", async () => {
    const client = await scene().authorized(NAME);
    client.socket.pause();
    client.send(many((id) => `{"id":${id},"method":"mining.subscribe","params":[]}\n`));
    await until("it is gone", async () => {
      const { miners } = await scene().translator.status();
      return !miners.some(({ user_name: name }) => name === NAME);
    });
    client[Symbol.dispose]();
  });
}
