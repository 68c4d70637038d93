import { expect } from "vitest";
import { jdClientToml, poolToml, templateProviderToml, upstream } from "./configs.ts";
import { embeddedJds } from "./declaring-miner.ts";
import { dialPool } from "./dial.ts";
import { HostileServer, type Script } from "./hostile-server.ts";
import { answering, type JobDeclarationScript } from "./jd-server-script.ts";
import { RoleInProcess } from "./role-in-process.ts";
import { Stage } from "./stage.ts";
import { Sv2Miner } from "./sv2-miner.ts";
import type { TestRole } from "./test-role.ts";
import { until } from "./until.ts";
import { type PoolAnswers, servingWork } from "./work-selection-script.ts";

type Over = "tcp" | "iroh";

/** How long an answer is waited for before an upstream is left, unless told. */
const ANSWER_SECS = 2;
/** Longest wait for a jd-client to do what it is to do. */
export const LEFT_MS = 60_000;
const HONEST = { hashrate: 1000, triesAtOnce: 20 };

/** What an upstream of a jd-client does: its pool, and its job-declarator server. Honest are those that are left out. */
export interface UpstreamScripts {
  readonly pool?: Script<"mining">;
  readonly jds?: JobDeclarationScript;
}

/** A pool that takes every job and credits every share, but for `answers`. */
export function poolThat(answers: PoolAnswers): UpstreamScripts {
  return { pool: servingWork(answers) };
}

/** A jd-client whose first upstream follows scripts, and a miner at it. */
export interface ExposedJdClient extends AsyncDisposable {
  /** Its account at both upstreams. */
  readonly userIdentity: string;
  readonly jdClient: RoleInProcess;
  readonly miner: Sv2Miner;
  /** The first upstream's pool and job-declarator server. */
  readonly hostile: readonly [HostileServer, HostileServer];
}

/** Honest roles around jd-clients that are exposed to hostile upstreams, many at a time. */
export class ExposedJdClients implements AsyncDisposable {
  /** A pool with a job-declarator server, honest both. */
  readonly pool: TestRole;
  readonly #stage: Stage;
  readonly #templateProvider: TestRole;
  #cases = 0;

  private constructor(stage: Stage, templateProvider: TestRole, pool: TestRole) {
    this.#stage = stage;
    this.#templateProvider = templateProvider;
    this.pool = pool;
  }

  static async open(): Promise<ExposedJdClients> {
    const stage = await Stage.open();
    const templateProvider = await stage.start("template-provider", (folder) =>
      templateProviderToml(folder, { hashesPerBlock: 2 ** 44 }),
    );
    const pool = await stage.start("pool", (folder) => poolToml(folder, templateProvider, { jds: "" }));
    return new ExposedJdClients(stage, templateProvider, pool);
  }

  /** Starts a jd-client of which the first upstream follows the scripts once. With `next`, a second one is honest. */
  async expose(
    over: Over,
    { pool: poolScript = servingWork(), jds = answering() }: UpstreamScripts,
    { next = false, answerSecs = ANSWER_SECS } = {},
  ): Promise<ExposedJdClient> {
    this.#cases += 1;
    const userIdentity = `case-${this.#cases}`;
    const hostile = [
      await HostileServer.start("mining", over, once(poolScript)),
      await HostileServer.start("job_declaration", over, once(jds)),
    ] as const;
    const upstreams = [{ pool: hostile[0].upstream, jds: hostile[1].upstream }];
    const { pool } = this;
    if (next) upstreams.push({ pool: upstream(pool, over), jds: upstream(embeddedJds(pool), over) });
    const jdClient = await RoleInProcess.start("jd-client", (folder) =>
      jdClientToml(folder, this.#templateProvider, {
        upstreams,
        userIdentity,
        sharesPerMinute: 600,
        top: `token_timeout_secs = ${ANSWER_SECS}\nanswer_timeout_secs = ${answerSecs}\nsolo_after_secs = 1`,
      }),
    );
    await until("the jd-client serves", () => jdClient.isReady, LEFT_MS);
    const miner = await Sv2Miner.open(await dialPool(jdClient), "miner", HONEST);
    const resources = [miner, jdClient, ...hostile];
    const dispose = async (): Promise<void> => {
      for (const one of resources) await one[Symbol.asyncDispose]();
    };
    return { userIdentity, jdClient, miner, hostile, [Symbol.asyncDispose]: dispose };
  }

  /** The jd-client leaves the upstream for a reason it logs, and its miner goes on alone. */
  async endure(over: Over, scripts: UpstreamScripts, says: RegExp): Promise<void> {
    await using exposed = await this.expose(over, scripts);
    const { jdClient, hostile } = exposed;
    const failures = (): readonly string[] =>
      jdClient
        .log()
        .split("\n")
        .filter((line) => line.includes("upstream failed"));
    const isSaid = (): boolean => failures().some((line) => says.test(line));
    await until(`the jd-client logs ${says}`, isSaid, LEFT_MS).catch((cause: unknown) => {
      throw new Error(`no failure for ${says}, but:\n${failures().join("\n")}`, { cause });
    });
    await until("the miner is mined for", () => jdClient.status().mining_for === "solo", LEFT_MS);
    await goesOn(exposed);
    expect(hostile.flatMap(({ faults }) => faults)).toEqual([]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stage[Symbol.asyncDispose]();
  }
}

/** The miner's shares go on, all of them accepted but for the `lost`, over the connection it has. */
export async function goesOn({ miner }: ExposedJdClient, lost: readonly string[] = []): Promise<void> {
  const { acceptedCount } = miner;
  await until("the miner's shares go on", () => miner.acceptedCount > acceptedCount + 2, LEFT_MS);
  expect(miner.isClosed).toBe(false);
  expect(miner.rejected).toEqual(lost);
}

/** Follows a script once, then hangs up on whoever comes. */
function once<Client>(script: (client: Client) => Promise<void>): (client: Client) => Promise<void> {
  let isFollowed = false;
  return async (client) => {
    if (isFollowed) return;
    isFollowed = true;
    await script(client);
  };
}
