import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { expect, test } from "vitest";
import { poolToml, sv2MinerToml, templateProviderToml, upstream } from "./harness/configs.ts";
import { Stage } from "./harness/stage.ts";
import type { LogLine, TestRole } from "./harness/test-role.ts";
import { until } from "./harness/until.ts";

/** A node that does not start is tried again within half a minute; then the next dial has to come. */
const RETURN_MS = 90_000;

/** A UDP port that nobody else can have. */
async function takenPort(): Promise<{ readonly socket: Socket; readonly port: number }> {
  const socket = createSocket("udp4");
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  return { socket, port: socket.address().port };
}

function changesOf(role: TestRole): readonly LogLine[] {
  return role.logLines().filter(({ msg }) => msg === "upstream changed");
}

test("a template provider whose Iroh node does not start serves a pool over TCP, which returns to Iroh once that works", async () => {
  const { socket, port } = await takenPort();
  await using stage = await Stage.open();
  const templates = await stage.start("template-provider", (folder) =>
    templateProviderToml(folder, { listen: { tcp: "127.0.0.1:0", udp: [`127.0.0.1:${port}`] } }),
  );
  const both = upstream(templates, "tcp").replace('transport = "tcp"', 'transport = "dual"');
  const entry = `${both}
endpoint_id = "${templates.details.endpoint_id}"
direct_addresses = ["127.0.0.1:${port}"]
[fallback]
retry_max_secs = 2
`;
  const pool = await stage.start("pool", (folder) => {
    const table = "[template_provider_type.Sv2Tp]";
    const [before = ""] = poolToml(folder, templates).split(table);
    return `${before}${table}\n${entry}`;
  });
  await stage.start("mining-device", (folder) => sv2MinerToml(folder, upstream(pool, "tcp"), "e2e.device"));
  const tcp = expect.stringMatching(/^127\.0\.0\.1:\d+ over tcp$/) as string;
  const iroh = expect.stringMatching(/^127\.0\.0\.1:\d+ over iroh$/) as string;
  expect(changesOf(pool)).toMatchObject([{ level: 30, from: "nothing", to: tcp, reason: "start" }]);

  socket.close();
  await until("the pool is back on Iroh", () => changesOf(pool).length > 1, RETURN_MS);
  expect(changesOf(pool).slice(1)).toMatchObject([{ level: 30, from: tcp, to: iroh, reason: "better-upstream-ready" }]);
  const before = (await pool.status()).channels[0]?.shares_accepted ?? 0;
  await until("shares of Iroh's templates", async () => {
    return ((await pool.status()).channels[0]?.shares_accepted ?? 0) > before + 2;
  });
  // The connection that was left is kept for a moment: late blocks are for it.
  await until("only Iroh's connection is left", async () => {
    const up = (await pool.status()).connections.filter(({ direction }) => direction === "upstream");
    return up.length === 1 && up[0]?.transport === "iroh";
  });
  expect(await pool.sample('sv2_reconnects_total{transport="iroh"}')).toBe(0);
  expect(await pool.sample('sv2_template_client_upstream_changes_total{reason="better-upstream-ready"}')).toBe(1);
});
