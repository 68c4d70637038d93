import { encodeOutputs, type TxOutput } from "@adit/bitcoin";
import type { JobDeclarationMessage } from "@adit/codec";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { brokenFrames } from "../harness/broken-frames.ts";
import { ExposedJdClients, goesOn, LEFT_MS, type UpstreamScripts } from "../harness/exposed-jd-clients.ts";
import {
  type Answers,
  acceptJob,
  answering,
  askFor,
  grantToken,
  POOL_OUTPUT,
  refuseJob,
} from "../harness/jd-server-script.ts";
import { COLOURS } from "../harness/pool-script.ts";
import { until } from "../harness/until.ts";

type Over = "tcp" | "iroh";

let scene: ExposedJdClients;

beforeAll(async () => {
  scene = await ExposedJdClients.open();
});
afterAll(() => scene[Symbol.asyncDispose]());

const declares = (answers: Answers): UpstreamScripts => ({ jds: answering(answers) });
const nothing = async (): Promise<void> => {};
const counted = (outputs: readonly TxOutput[]): Uint8Array => Uint8Array.of(outputs.length, ...encodeOutputs(outputs));

/** What a job-declarator server says once a job is declared. */
function declaring(message: (at: number) => JobDeclarationMessage, count = 30): UpstreamScripts {
  return declares({
    DeclareMiningJob: async (client) => {
      for (let at = 0; at < count; at += 1) await client.say(message(at));
    },
  });
}

/** Tokens whose outputs are these bytes. */
function outputting(coinbaseTxOutputs: Uint8Array): UpstreamScripts {
  return declares({
    AllocateMiningJobToken: async (client, { requestId }) => {
      const miningJobToken = Uint8Array.of(1);
      await client.say({ name: "AllocateMiningJobTokenSuccess", requestId, miningJobToken, coinbaseTxOutputs });
    },
  });
}

/** What a job-declarator server does wrong, and what the jd-client says of it. */
const wrongs: Record<string, readonly [UpstreamScripts, RegExp]> = {
  "gives no token": [declares({ AllocateMiningJobToken: nothing }), /token-timeout/],
  "gives tokens nobody asked for": [
    declares({
      AllocateMiningJobToken: async (client, message) =>
        grantToken()(client, { ...message, requestId: message.requestId + 7000 }),
    }),
    /protocol-fault/,
  ],
  "gives a token without outputs": [outputting(new Uint8Array()), /bad-coinbase-outputs/],
  "gives a token with 65,535 bytes that are no outputs": [
    outputting(new Uint8Array(65_535).fill(0xee)),
    /bad-coinbase-outputs/,
  ],
  "gives a token with outputs of 64 KiB": [
    outputting(counted(Array.from({ length: 250 }, () => ({ value: 0n, script: new Uint8Array(250).fill(0x51) })))),
    /coinbase-outputs-too-large/,
  ],
  "gives a token whose outputs are paid already": [
    outputting(counted([POOL_OUTPUT, { value: 1n, script: Uint8Array.of(0x51) }])),
    /bad-coinbase-outputs/,
  ],
  "has another paid with every token": [
    declares({
      AllocateMiningJobToken: async (client, message) => {
        const script = Uint8Array.of(0, 20, ...new Uint8Array(20).fill(message.requestId & 0xff));
        await grantToken([{ value: 0n, script }])(client, message);
      },
    }),
    /payout-changed/,
  ],
  "never says what becomes of a job": [declares({ DeclareMiningJob: nothing }), /declaration-timeout/],
  "refuses every job": [
    declares({ DeclareMiningJob: refuseJob(COLOURS, new Uint8Array(60_000)) }),
    /declaration-refused/,
  ],
  "takes jobs that nobody has declared": [
    declaring((at) => ({ name: "DeclareMiningJobSuccess", requestId: 9000 + at, newMiningJobToken: new Uint8Array() })),
    /protocol-fault/,
  ],
  "asks for transactions beyond those there are": [
    declares({ DeclareMiningJob: askFor(60_000) }),
    /bad-transaction-request/,
  ],
  "asks for one transaction twice at once": [declares({ DeclareMiningJob: askFor(0, 0) }), /bad-transaction-request/],
  "asks for as many as a message holds": [
    declares({ DeclareMiningJob: askFor(...Array.from({ length: 65_535 }, (_, at) => at)) }),
    /bad-transaction-request/,
  ],
  "asks for transactions of a job that was not declared": [
    declaring((at) => ({ name: "ProvideMissingTransactions", requestId: 9000 + at, unknownTxPositionList: [0] })),
    /bad-transaction-request/,
  ],
  "says what only a client may say": [
    declaring((requestId) => ({ name: "AllocateMiningJobToken", userIdentifier: COLOURS, requestId })),
    /AllocateMiningJobToken is not for it to send/,
  ],
  ...brokenFrames<"job_declaration", UpstreamScripts>((talk) => declares({ DeclareMiningJob: talk }), 0x55),
  "cuts a message short": [
    declares({ DeclareMiningJob: (client) => client.frame(0x58, new Uint8Array(3)) }),
    /short-read at DeclareMiningJobSuccess/,
  ],
};

describe.concurrent.each<Over>(["tcp", "iroh"])(
  "a jd-client leaves a jd-server over %s, and says why, that",
  (over) => {
    test.each(Object.entries(wrongs))("%s", async (_what, [scripts, says]) => {
      await scene.endure(over, scripts, says);
    });
  },
);

describe.concurrent("a jd-client", () => {
  test("reveals the transactions of a job once, whoever asks how often", async () => {
    let revealed = 0;
    const asking = declares({
      DeclareMiningJob: async (client, message) => {
        for (let at = 0; at < 10; at += 1) await askFor(0)(client, message);
      },
      ProvideMissingTransactionsSuccess: async () => {
        revealed += 1;
      },
    });
    await scene.endure("tcp", asking, /bad-transaction-request.*asked for twice/);
    expect(revealed).toBe(1);
  });

  test("takes tokens for what they are: empty, of 255 bytes", async () => {
    const odd = declares({
      AllocateMiningJobToken: async (client, { requestId }) => {
        const miningJobToken = new Uint8Array(requestId % 2 === 0 ? 0 : 255).fill(requestId);
        const coinbaseTxOutputs = counted([POOL_OUTPUT]);
        await client.say({ name: "AllocateMiningJobTokenSuccess", requestId, miningJobToken, coinbaseTxOutputs });
      },
      DeclareMiningJob: acceptJob,
    });
    await using exposed = await scene.expose("tcp", odd);
    await until("shares are credited", () => exposed.jdClient.status().shares_acknowledged > 3, LEFT_MS);
    await goesOn(exposed);
  });
});
