import { encodeOutputs, type TxOutput } from "@adit/bitcoin";
import type { JobDeclarationMessage } from "@adit/codec";
import { systemEntropy } from "@adit/network-helpers";
import type { Script, ServedClient } from "./hostile-server.ts";

/** What a scripted job-declarator server does. */
export type JobDeclarationScript = Script<"job_declaration">;
type Client = ServedClient<"job_declaration">;

/** A message of a client. */
type Asked<N extends JobDeclarationMessage["name"]> = Extract<JobDeclarationMessage, { readonly name: N }>;
/** What the server does about a message. */
type Answer<N extends JobDeclarationMessage["name"]> = (client: Client, message: Asked<N>) => Promise<void>;

/** What the server does about each message. Those without an answer get none. */
export type Answers = { readonly [N in JobDeclarationMessage["name"]]?: Answer<N> };

/** The output that a scripted pool is paid with, without its amount. */
export const POOL_OUTPUT: TxOutput = { value: 0n, script: Uint8Array.from([0, 20, ...new Uint8Array(20).fill(0xad)]) };

/** Grants a token that nobody has seen before, and with it the outputs of the coinbase. */
export function grantToken(outputs: readonly TxOutput[] = [POOL_OUTPUT]): Answer<"AllocateMiningJobToken"> {
  return async (client, { requestId }) => {
    const coinbaseTxOutputs = Uint8Array.from([outputs.length, ...encodeOutputs(outputs)]);
    await client.say({ name: "AllocateMiningJobTokenSuccess", requestId, miningJobToken: token(), coinbaseTxOutputs });
  };
}

/** Accepts a declared job, also one whose transactions it has asked for. */
export async function acceptJob(client: Client, { requestId }: { readonly requestId: number }): Promise<void> {
  await client.say({ name: "DeclareMiningJobSuccess", requestId, newMiningJobToken: token() });
}

/** Refuses a declared job. */
export function refuseJob(errorCode: string, errorDetails = new Uint8Array(0)): Answer<"DeclareMiningJob"> {
  return async (client, { requestId }) => {
    await client.say({ name: "DeclareMiningJobError", requestId, errorCode, errorDetails });
  };
}

/** Asks for transactions of a declared job by their positions. */
export function askFor(...positions: readonly number[]): Answer<"DeclareMiningJob"> {
  return async (client, { requestId }) => {
    await client.say({ name: "ProvideMissingTransactions", requestId, unknownTxPositionList: [...positions] });
  };
}

/** What an honest server does that knows every transaction. */
const honest: Answers = {
  AllocateMiningJobToken: grantToken(),
  DeclareMiningJob: acceptJob,
  ProvideMissingTransactionsSuccess: acceptJob,
};

/** Sets the connection up and answers until the client leaves, as an honest server would but for `answers`. */
export function answering(answers: Answers = {}): JobDeclarationScript {
  const all: Answers = { ...honest, ...answers };
  return async (client) => {
    await client.hear("SetupConnection");
    await client.say({ name: "SetupConnectionSuccess", usedVersion: 2, flags: 0 });
    for (let message = await client.next(); message !== undefined; message = await client.next()) {
      // The name tells the answer's type, which the compiler cannot follow.
      const answer = all[message.name as keyof Answers] as
        | ((client: Client, message: unknown) => Promise<void>)
        | undefined;
      await answer?.(client, message);
    }
  };
}

function token(): Uint8Array {
  return systemEntropy(16);
}
