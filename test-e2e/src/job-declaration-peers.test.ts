import { decodeTransaction, witnessCommitmentOf, witnessCommitmentOutput, wtxid } from "@adit/bitcoin";
import { DECLARE_TX_DATA, type DeclareMiningJob, type PushSolution } from "@adit/codec";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { templateProviderToml } from "./harness/configs.ts";
import { DeclaredJob } from "./harness/declared-job.ts";
import { loopbackNode } from "./harness/dial.ts";
import { HostileServer } from "./harness/hostile-server.ts";
import {
  type Answers,
  acceptJob,
  answering,
  askFor,
  grantToken,
  POOL_OUTPUT,
  refuseJob,
} from "./harness/jd-server-script.ts";
import { JobDeclarationClient } from "./harness/job-declaration-client.ts";
import { Sniffer } from "./harness/sniffer.ts";
import { Stage } from "./harness/stage.ts";
import { TemplateFeed } from "./harness/template-feed.ts";
import type { TestRole } from "./harness/test-role.ts";
import { until } from "./harness/until.ts";

const EXTRANONCE = new Uint8Array(20).fill(0xee);

let stage: Stage;
let templateProvider: TestRole;

beforeAll(async () => {
  stage = await Stage.open();
  templateProvider = await stage.start("template-provider", (folder) =>
    templateProviderToml(folder, { hashesPerBlock: 1000 }),
  );
});

afterAll(async () => {
  await stage[Symbol.asyncDispose]();
});

/** A scripted server and a sniffer before it. */
async function serving(transport: "tcp" | "iroh", answers: Answers = {}) {
  const role = await HostileServer.start("job_declaration", transport, answering(answers));
  const side = { transport };
  const sniffer = await Sniffer.start({ protocol: "job_declaration", listen: side, upstream: { ...side, role } });
  const node = transport === "iroh" ? await loopbackNode() : undefined;
  const client = await JobDeclarationClient.dial(sniffer, { node });
  return {
    sniffer,
    client,
    [Symbol.asyncDispose]: async () => {
      for (const one of [client, node, sniffer, role]) await one?.[Symbol.asyncDispose]();
    },
  };
}

async function declaredJob(client: JobDeclarationClient, feed: TemplateFeed): Promise<DeclaredJob> {
  return new DeclaredJob(await feed.next(), await client.allocate("e2e"), EXTRANONCE.length);
}

describe.each(["tcp", "iroh"] as const)("over %s, the scripted peers of job declaration", (transport) => {
  test("declare a job of a real template, reveal its transactions, and push the block", async () => {
    const pushed: PushSolution[] = [];
    const donation = { value: 0n, script: Uint8Array.of(0x6a, 1, 7) };
    await using scene = await serving(transport, {
      AllocateMiningJobToken: grantToken([POOL_OUTPUT, donation]),
      DeclareMiningJob: askFor(2, 0),
      PushSolution: async (_, solution) => void pushed.push(solution),
    });
    const { sniffer, client } = scene;
    await using feed = await TemplateFeed.dial(templateProvider);
    const job = await declaredJob(client, feed);
    const verdict = await client.declare(job);

    expect(await sniffer.saw("up", "SetupConnection")).toMatchObject({ protocol: 1, flags: DECLARE_TX_DATA });
    const declaration = await sniffer.saw("up", "DeclareMiningJob");
    expect(client.asked).toEqual([[2, 0]]);
    const { transactionList } = await sniffer.saw("up", "ProvideMissingTransactionsSuccess");
    expect(transactionList.map((one) => wtxid(one))).toEqual([2, 0].map((position) => declaration.wtxidList[position]));
    expect(verdict).toEqual(await sniffer.saw("down", "DeclareMiningJobSuccess"));

    const { coinbaseTxPrefix, coinbaseTxSuffix, wtxidList } = declaration;
    const coinbase = decodeTransaction(Uint8Array.from([...coinbaseTxPrefix, ...EXTRANONCE, ...coinbaseTxSuffix]));
    expect(coinbase.inputs[0]?.witness).toEqual([new Uint8Array(32)]);
    const { coinbaseTxValueRemaining: value } = job.template;
    expect(coinbase.outputs.slice(0, 2)).toEqual([{ ...POOL_OUTPUT, value }, donation]);
    const commitment = witnessCommitmentOf([witnessCommitmentOutput(wtxidList)]);
    expect(witnessCommitmentOf(coinbase.outputs)).toEqual(commitment);

    const { accepted } = (await templateProvider.status()).blocks;
    const solution = job.solve(EXTRANONCE);
    await client.send({ name: "PushSolution", ...solution });
    await feed.submit(job.solution(solution));
    await until("the block is taken", async () => (await templateProvider.status()).blocks.accepted > accepted);
    await until("the server has it, too", () => pushed.length > 0);
    expect(pushed[0]).toMatchObject(solution);
  });

  test("hear of a refusal, and of what is accepted after it", async () => {
    const refuse = refuseJob("invalid-mining-job-token");
    const isFirst = ({ requestId }: DeclareMiningJob): boolean => requestId === 2;
    await using scene = await serving(transport, {
      DeclareMiningJob: (client, message) => (isFirst(message) ? refuse : acceptJob)(client, message),
    });
    const { sniffer, client } = scene;
    await using feed = await TemplateFeed.dial(templateProvider);
    const refused = await client.declare(await declaredJob(client, feed));
    expect(refused).toMatchObject({ errorCode: "invalid-mining-job-token", requestId: 2 });
    expect(await client.declare(await declaredJob(client, feed))).toMatchObject({
      name: "DeclareMiningJobSuccess",
      requestId: 4,
    });
    const [first, second] = sniffer
      .sightings("up")
      .flatMap(({ message }) => (message?.name === "DeclareMiningJob" ? [message.miningJobToken] : []));
    expect(second).not.toEqual(first);
    sniffer.none("down", "ProvideMissingTransactions");
  });
});
