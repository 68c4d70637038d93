import { afterAll, beforeAll, expect, test } from "vitest";
import {
  embeddedAccess,
  jdClientToml,
  jdServerToml,
  nodeTemplateProviderToml,
  poolToml,
  upstream,
} from "./harness/configs.ts";
import { MINER } from "./harness/declaring-farm.ts";
import { type DeclaringSides, openSides } from "./harness/declaring-sides.ts";
import { dialPool } from "./harness/dial.ts";
import { settledBooks } from "./harness/share-books.ts";
import { Sv2Miner } from "./harness/sv2-miner.ts";
import type { TestRole } from "./harness/test-role.ts";
import { until } from "./harness/until.ts";

/** Nobody finds a block: the tip stays where it is, and no share is late. */
const NEVER = 2 ** 44;

let sides: DeclaringSides;

beforeAll(async () => {
  sides = await openSides(NEVER);
});

afterAll(async () => {
  await sides[Symbol.asyncDispose]();
});

type Over = "tcp" | "iroh";
type Toml = (folder: string, top: string) => string;

/** Two servers of one operator: the first sends its clients to the second when it stops. */
async function pair(role: string, { over, toml }: { readonly over: Over; readonly toml: Toml }): Promise<TestRole[]> {
  const { stage } = sides;
  const [one, other] = [`${role}-first-${over}`, `${role}-second-${over}`];
  const second = await stage.start(role, (folder) => toml(folder, ""), other);
  const { address, ticket } = second.listener(over);
  const top = `move_clients_to = "${over === "iroh" ? ticket : address}"`;
  const key = (folder: string): string => folder.replace(one, other);
  const first = await stage.start(
    role,
    (folder) => toml(folder, top).replace(`${folder}/authority.key`, `${key(folder)}/authority.key`),
    one,
  );
  return [first, second];
}

test.each<Over>(["tcp", "iroh"])(
  "a jd-server and a template provider that stop move their jd-client over %s, and no share is lost nor any miner cut",
  async (over) => {
    const { stage, chain } = sides;
    const [jds, nextJds] = await pair("jd-server", {
      over,
      toml: (folder, top) => jdServerToml(folder, chain, { top }),
    });
    const [templates, nextTemplates] = await pair("template-provider", {
      over,
      toml: (folder, top) => nodeTemplateProviderToml(folder, [embeddedAccess(chain)], { top }),
    });
    if (jds === undefined || nextJds === undefined || templates === undefined || nextTemplates === undefined) return;
    const jdServers = [jds.details.authority_public_key];
    const pool = await stage.start("pool", (folder) => poolToml(folder, chain, { jdServers }), `pool-${over}`);
    const upstreams = [{ pool: upstream(pool, over), jds: upstream(jds, over) }];
    const client = await stage.start(
      "jd-client",
      (folder) => jdClientToml(folder, templates, { upstreams, templatesOver: over }),
      `jd-client-${over}`,
    );
    await using miner = await Sv2Miner.open(await dialPool(client), "miner", MINER);
    const credited = async (more: number): Promise<void> => {
      const { shares_acknowledged } = await client.status();
      await until("the pool credits shares", async () => {
        return (await client.status()).shares_acknowledged >= shares_acknowledged + more;
      });
    };
    await credited(5);

    expect(await jds.stop()).toBe(0);
    await until("a job is declared at the second jd-server", async () => {
      return (await nextJds.status()).declarations.declared >= 1;
    });
    await credited(3);
    expect(await templates.stop()).toBe(0);
    await until("templates come from the second provider", async () => {
      return (await nextTemplates.status()).clients.length === 1;
    });
    const { declared } = (await nextJds.status()).declarations;
    await until("its templates are declared", async () => (await nextJds.status()).declarations.declared > declared);
    await credited(3);

    miner.rest();
    const { discarded, ...others } = await settledBooks(client);
    expect(others).toMatchObject({ rejected: 0, unanswered: 0, solo: 0 });
    expect(Object.values(discarded).filter((count) => count > 0)).toEqual([]);
    expect([miner.isClosed, miner.rejected]).toEqual([false, []]);
    expect(await client.sample('sv2_jd_client_reconnects_total{result="followed"}')).toBe(1);
    expect(await client.sample('sv2_template_client_reconnects_total{result="followed"}')).toBe(1);
    for (const role of [jds, templates]) {
      expect(role.logLines().find(({ msg }) => msg === "clients left, but for these")).toMatchObject({
        connections: 0,
      });
    }
    for (const role of [client, pool, nextJds, nextTemplates]) expect(await role.stop()).toBe(0);
  },
);
