import { expect } from "vitest";
import { jdServerToml, poolToml, templateProviderToml } from "./configs.ts";
import { DeclaringMiner, embeddedJds } from "./declaring-miner.ts";
import { loopbackNode, type Reachable } from "./dial.ts";
import { DEADLINES, type Over } from "./door-scene.ts";
import { answersSoon, type Footprint, footprintOf, garbageOnDemand, returnsTo } from "./footprint.ts";
import { JobDeclarationClient } from "./job-declaration-client.ts";
import { Stage } from "./stage.ts";
import { TemplateFeed, type WholeTemplate } from "./template-feed.ts";
import type { TestRole } from "./test-role.ts";
import { until } from "./until.ts";

/** The job-declarator servers of a {@link DeclaringScene}: one in a process of its own, and one inside the pool. */
export const sites = ["jd-server", "pool"] as const;
/** One of {@link sites}. */
export type Site = (typeof sites)[number];

/** How attackers reach each; the honest come over the other transport. */
const attackedOver: Readonly<Record<Site, Over>> = { "jd-server": "tcp", pool: "iroh" };

/** A block is soon found. */
const HASHES_PER_BLOCK = 2_048;
/** Code that is compiled and caches that fill on the first attack stay; so do the jobs of the newest blocks. */
const TOLERANCE = { heapMiB: 8, residentMiB: 200, descriptors: 4 };
const NO_RATE_OF_CONNECTIONS = "new_connections_per_second = 1000\nnew_connections_burst = 1000";

/** How the servers differ from the plainest ones. */
export interface DeclaringSceneOptions {
  /** Lines for the limits of both. */
  readonly limits?: string;
  /** Life of their tokens, in seconds. */
  readonly tokenTimeoutSecs?: number;
}

interface Place {
  readonly role: TestRole;
  readonly jds: Reachable;
  readonly honest: DeclaringMiner;
}

/**
 * A template provider, a pool that has a job-declarator server inside without a node, and another one with a node, which
 * the pool believes. At each an honest client, which goes on declaring and finding blocks while somebody else attacks.
 */
export class DeclaringScene implements AsyncDisposable {
  readonly templateProvider: TestRole;
  readonly pool: TestRole;
  readonly jdServer: TestRole;
  /** The attackers' view of the chain. */
  readonly #feed: TemplateFeed;
  readonly #places: Readonly<Record<Site, Place>>;
  readonly #footprints = new Map<TestRole, Footprint>();
  readonly #resources: readonly AsyncDisposable[];
  readonly #node: Awaited<ReturnType<typeof loopbackNode>>;
  #blocks = 0;

  private constructor(parts: {
    readonly roles: readonly [TestRole, TestRole, TestRole];
    readonly feed: TemplateFeed;
    readonly places: Readonly<Record<Site, Place>>;
    readonly node: Awaited<ReturnType<typeof loopbackNode>>;
    readonly resources: readonly AsyncDisposable[];
  }) {
    [this.templateProvider, this.jdServer, this.pool] = parts.roles;
    this.#feed = parts.feed;
    this.#places = parts.places;
    this.#node = parts.node;
    this.#resources = parts.resources;
  }

  /** Starts the roles, and waits until an honest block has come of each site. */
  static async open({ limits = "", tokenTimeoutSecs = 3_600 }: DeclaringSceneOptions = {}): Promise<DeclaringScene> {
    const stage = await Stage.open([garbageOnDemand]);
    const lines = `${DEADLINES}\n${limits}`;
    const top = `token_timeout_secs = ${tokenTimeoutSecs}`;
    const templateProvider = await stage.start("template-provider", (folder) =>
      templateProviderToml(folder, { hashesPerBlock: HASHES_PER_BLOCK, rpc: true }),
    );
    const jdServer = await stage.start("jd-server", (folder) =>
      jdServerToml(folder, templateProvider, { limits: lines, top }),
    );
    const pool = await stage.start("pool", (folder) =>
      poolToml(folder, templateProvider, {
        // The honest client declares after every attack, which may be over in no time.
        limits: "custom_jobs_per_second = 100\ncustom_job_burst = 1000",
        jdServers: [jdServer.details.authority_public_key],
        jds: `${top}\n[jds.limits]\n${NO_RATE_OF_CONNECTIONS}\n${lines}`,
      }),
    );
    const [node, honestNode, feed] = [
      await loopbackNode(),
      await loopbackNode(),
      await TemplateFeed.dial(templateProvider),
    ];
    const place = async (site: Site, role: TestRole, jds: Reachable): Promise<Place> => {
      const over = attackedOver[site] === "tcp" ? { node: honestNode } : {};
      const honest = await DeclaringMiner.open({
        pool,
        jds,
        templateProvider,
        userIdentity: `honest.${site}`,
        ...over,
      });
      return { role, jds, honest };
    };
    const places = {
      "jd-server": await place("jd-server", jdServer, jdServer),
      pool: await place("pool", pool, embeddedJds(pool)),
    };
    const resources = [...Object.values(places).map(({ honest }) => honest), feed, node, honestNode, stage];
    const roles = [templateProvider, jdServer, pool] as const;
    const scene = new DeclaringScene({ roles, feed, places, node, resources });
    for (const site of sites) await scene.nobodyElseNotices(site);
    for (const role of [jdServer, pool]) scene.#footprints.set(role, await footprintOf(role));
    return scene;
  }

  /** The role that has the server inside. */
  role(site: Site): TestRole {
    return this.#places[site].role;
  }

  /** The honest client of a site. */
  honest(site: Site): DeclaringMiner {
    return this.#places[site].honest;
  }

  /** A client of a site that has set up its connection. */
  async attacker(site: Site, flags?: number): Promise<JobDeclarationClient> {
    const node = attackedOver[site] === "iroh" ? this.#node : undefined;
    return await JobDeclarationClient.dial(this.#places[site].jds, flags === undefined ? { node } : { node, flags });
  }

  /** Many clients of a site, over TCP: one Iroh node may not have as many connections. */
  async crowd(site: Site, count: number): Promise<readonly JobDeclarationClient[]> {
    const clients: JobDeclarationClient[] = [];
    while (clients.length < count) clients.push(await JobDeclarationClient.dial(this.#places[site].jds));
    return clients;
  }

  /** The newest template, for attackers. */
  async template(): Promise<WholeTemplate> {
    return await this.#feed.next();
  }

  /** A sample of the server's metrics by its whole name with labels, 0 when there is none. */
  async count(site: Site, sample: string): Promise<number> {
    return await this.role(site).sample(`sv2_jd_server_${sample}`);
  }

  /** The honest client declares a job, has a share of it credited, and brings its block to the chain. */
  async nobodyElseNotices(site: Site): Promise<void> {
    const { honest, role } = this.#places[site];
    for (const one of [this.pool, this.jdServer]) await answersSoon(one);
    const { height } = (await this.templateProvider.status()).chain;
    const solved = await this.#solved(site);
    const { job, token } = await honest.declaredJob();
    const set = await honest.set(job, token);
    expect("errorCode" in set ? set.errorCode : "accepted").toBe("accepted");
    this.#blocks += 1;
    const solution = job.solve(honest.extranonce(this.#blocks & 0xff));
    const jobId = "jobId" in set ? set.jobId : 0;
    expect(await honest.submit(jobId, solution)).toMatchObject({ name: "SubmitSharesSuccess" });
    await honest.jds.send({ name: "PushSolution", ...solution });
    await until(`${role.name} has the block`, async () => (await this.#solved(site)) > solved);
    // A server without a node leaves the block to its client.
    if (site === "pool") await honest.feed.submit(job.solution(solution));
    const grown = async (): Promise<boolean> => (await this.templateProvider.status()).chain.height === height + 1;
    await until("the block is on the chain", grown);
  }

  /** At the end: the roles use what they did at the start. */
  async everythingIsBack(): Promise<void> {
    for (const [role, footprint] of this.#footprints) await returnsTo(role, footprint, TOLERANCE);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const one of this.#resources) await one[Symbol.asyncDispose]();
  }

  async #solved(site: Site): Promise<number> {
    const by = await Promise.all(["client", "pool"].map((who) => this.count(site, `solved_blocks_total{by="${who}"}`)));
    return by.reduce((sum, one) => sum + one, 0);
  }
}
