import { randomBytes } from "node:crypto";
import { type DialectMessage, dialect } from "@adit/codec";
import { dialSv2, type Sv2Connection } from "@adit/network-helpers";
import { decodeAuthorityPublicKey, pureCrypto } from "@adit/noise";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { DoorScene, type Over, PATIENCE_MS, transports } from "../harness/door-scene.ts";
import { setupFor, sv2DoorSuite } from "../harness/sv2-door-suite.ts";
import { until } from "../harness/until.ts";

type Message = DialectMessage<"template_distribution">;
type Client = Sv2Connection<"template_distribution">;

const templates = dialect("template_distribution");
const setup = setupFor(2);
const constraints = {
  name: "CoinbaseOutputConstraints",
  coinbaseOutputMaxAdditionalSize: 100,
  coinbaseOutputMaxAdditionalSigops: 4,
} as const;
const solution = { name: "SubmitSolution", version: 1, headerTimestamp: 1, headerNonce: 1 } as const;

let scene: DoorScene;

beforeAll(async () => {
  scene = await DoorScene.open({
    templateProvider:
      "constraints_timeout_secs = 4\nmax_queue_bytes = 4300000\nmax_templates_per_client = 8\nmax_requests_per_minute = 1500",
  });
});
afterAll(() => scene[Symbol.asyncDispose]());
beforeEach(() => scene.before());
afterEach(() => scene.nobodyElseNotices());

/** A connection as an honest client makes it. */
async function client(over: Over): Promise<Client> {
  const { name: _, protocol: __, ...hello } = setup;
  const authority = decodeAuthorityPublicKey(scene.templateProvider.details.authority_public_key);
  return await dialSv2(
    await scene.stream(scene.templateProvider, over),
    { ...hello, protocol: "template_distribution", requestExtensions: [] },
    {
      security: { noise: { crypto: pureCrypto, authority } },
      signal: new AbortController().signal,
      deadlineMs: PATIENCE_MS,
    },
  );
}

/** What a client hears until it stops listening, and whether its connection is over. */
function listening(connection: Client): { readonly heard: Message[]; readonly isOver: () => boolean } {
  const heard: Message[] = [];
  let isOver = false;
  const read = async (): Promise<void> => {
    for await (const { message } of connection.messages) heard.push(structuredClone(message));
  };
  // Broken off is over, too.
  void read()
    .catch(() => {})
    .finally(() => {
      isOver = true;
    });
  return { heard, isOver: () => isOver };
}

/** A client with a template, and that template's id. */
async function served(over: Over): Promise<{ connection: Client; templateId: bigint } & ReturnType<typeof listening>> {
  const connection = await client(over);
  const ears = listening(connection);
  await connection.write(constraints);
  const first = await until("a template", () => ears.heard.find(({ name }) => name === "NewTemplate"));
  return { connection, ...ears, templateId: first.name === "NewTemplate" ? first.templateId : 0n };
}

describe.each(transports)("a template provider over %s", (over) => {
  sv2DoorSuite({
    scene: () => scene,
    role: () => scene.templateProvider,
    over,
    protocol: "template_distribution",
    setup,
    hello: templates.encode(setup),
    ordinary: templates.encode(constraints),
    ordinaryName: "CoinbaseOutputConstraints",
    serverOnly: {
      frame: templates.encode({ name: "RequestTransactionDataError", templateId: 1n, errorCode: "no" }),
      reason: /RequestTransactionDataError (came before|is not)/,
    },
    largest: { type: 0x76, bytes: 65_557 },
    idle: /no CoinbaseOutputConstraints came in time/,
  });

  test.each([
    [
      "a solution before the constraints",
      { ...solution, templateId: 1n, coinbaseTx: new Uint8Array(90) },
      /SubmitSolution came before the first CoinbaseOutputConstraints/,
    ],
    [
      "a request for data before the constraints",
      { name: "RequestTransactionData", templateId: 1n },
      /RequestTransactionData came before the first CoinbaseOutputConstraints/,
    ],
    [
      "constraints that no block can meet",
      { ...constraints, coinbaseOutputMaxAdditionalSize: 0xffffffff },
      /no block has room for 4294967295 bytes/,
    ],
  ] as const)("hangs up on %s, and logs why", async (_name, message, reason) => {
    const from = scene.templateProvider.log().length;
    const connection = await client(over);
    const { isOver } = listening(connection);
    await connection.write(message);
    await until("the connection is over", isOver, PATIENCE_MS);
    await connection[Symbol.asyncDispose]();
    await scene.templateProvider.logged(reason, from);
  });

  test("refuses a miner, and logs why", async () => {
    using lost = await scene.shaken(scene.templateProvider, over);
    await lost.sendWhole(dialect("mining").encode(setupFor(0)));
    expect(templates.decode(await lost.receive())).toMatchObject({ message: { errorCode: "unsupported-protocol" } });
    await lost.closed(PATIENCE_MS);
  });

  test("refuses solutions for unknown templates and coinbases that are none, and answers for unknown data", async () => {
    const from = scene.templateProvider.log().length;
    const { connection, heard, templateId } = await served(over);
    await connection.write({ ...solution, templateId: 7n, coinbaseTx: new Uint8Array(90) });
    await connection.write({ ...solution, templateId, coinbaseTx: randomBytes(200) });
    await connection.write({ ...solution, templateId, coinbaseTx: randomBytes(65_535) });
    await connection.write({ name: "RequestTransactionData", templateId: 7n });
    const answer = await until("an answer", () => heard.find(({ name }) => name === "RequestTransactionDataError"));
    expect(answer).toMatchObject({ templateId: 7n, errorCode: "template-id-not-found" });
    await scene.templateProvider.logged(/unknown-template/, from);
    await until("three refused solutions in the log", () => {
      return scene.templateProvider.log().slice(from).split("solution refused").length > 3;
    });
    await connection[Symbol.asyncDispose]();
  });

  test("hangs up on a flood of solutions, and logs why", async () => {
    const from = scene.templateProvider.log().length;
    const { connection, isOver, templateId } = await served(over);
    for (let sent = 0; sent < 2000 && !isOver(); sent += 1) {
      await connection.write({ ...solution, templateId, coinbaseTx: new Uint8Array(90) }).catch(() => {});
    }
    await until("the connection is over", isOver, PATIENCE_MS);
    await connection[Symbol.asyncDispose]();
    await scene.templateProvider.logged(/more requests than/, from);
  });

  test("hangs up on constraints changed in a storm, and logs why", async () => {
    const from = scene.templateProvider.log().length;
    const { connection, isOver } = await served(over);
    for (let sent = 0; sent < 2000 && !isOver(); sent += 1) {
      await connection.write({ ...constraints, coinbaseOutputMaxAdditionalSize: 100 + sent }).catch(() => {});
    }
    await until("the connection is over", isOver, PATIENCE_MS);
    await connection[Symbol.asyncDispose]();
    await scene.templateProvider.logged(/more requests than/, from);
  });

  test("hangs up on who asks for data and does not read it, and logs why", async () => {
    const from = scene.templateProvider.log().length;
    const connection = await client(over);
    await connection.write(constraints);
    const templateId = await firstTemplate(connection);
    const asking = async (): Promise<void> => {
      for (let sent = 0; sent < 1400; sent += 1) {
        await connection.write({ name: "RequestTransactionData", templateId });
      }
    };
    await asking().catch(() => {});
    await scene.templateProvider.logged(/bytes wait for it/, from);
    connection.abort(new Error("done"));
  });
});

/** The id of the first template, after which nobody listens any more. */
async function firstTemplate(connection: Client): Promise<bigint> {
  for await (const { message } of connection.messages) {
    if (message.name === "NewTemplate") return message.templateId;
  }
  throw new Error("the connection ended");
}

test("a template provider has in use what it had at the start, and no honest share is lost", () =>
  scene.everythingIsBack());
