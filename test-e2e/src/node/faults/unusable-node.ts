import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { join } from "node:path";
import { expect, test } from "vitest";
import { nodeTemplateProviderToml } from "../../harness/configs.ts";
import { freePort } from "../../harness/free-port.ts";
import { Stage } from "../../harness/stage.ts";
import type { TestRole } from "../../harness/test-role.ts";
import { until } from "../../harness/until.ts";
import { tipOf } from "../chain-view.ts";
import { credentials } from "../node-process.ts";
import { altering, NodeProxy } from "../node-proxy.ts";
import { TemplateWatch } from "../template-watch.ts";
import type { StartNode } from "./fault-scene.ts";

const COOKIE = { user: "__cookie__", first: "0123456789abcdef", second: "fedcba9876543210" } as const;

/** What an operator gets wrong about a node. The role says what to do, and works as soon as it is put right. */
export function unusableNodeScenarios(start: StartNode): void {
  test.concurrent("a node that cannot be used is named with what to do, until everything is put right", async () => {
    await using stage = await Stage.open();
    await using node = await start({ folder: join(stage.folder, "node") });
    const port = await freePort();
    const cookiePath = join(stage.folder, ".cookie");
    const role = await stage.launch("template-provider", (folder) =>
      nodeTemplateProviderToml(folder, [{ rpcUrl: `http://127.0.0.1:${port}`, cookiePath }]),
    );
    await says(role, /cookie file .*\.cookie cannot be read \(ENOENT\); check that the node runs with server=1/);

    await writeFile(cookiePath, `${COOKIE.user}:${COOKIE.first}\n`);
    await says(role, /no connection \(ECONNREFUSED\); check that the node runs with server=1 and listens there/);

    const page = createServer((_request, response) => response.end("<html>It works!</html>")).listen(port, "127.0.0.1");
    await once(page, "listening");
    await says(role, /answered HTTP 200 without JSON .*check that 127\.0\.0\.1:\d+ is a Bitcoin node's RPC port/);
    page.closeAllConnections();
    page.close();
    await once(page, "close");

    await using proxy = await NodeProxy.start(node, port);
    proxy.treat("getblockchaininfo", altering({ chain: "main" }));
    proxy.login = `${COOKIE.user}:${COOKIE.second}`;
    await says(role, /the node refuses the cookie in .*\.cookie \(HTTP 401\)/);

    await writeFile(cookiePath, `${COOKIE.user}:${COOKIE.second}\n`);
    await says(role, /mainnet.*regtest|regtest.*mainnet/);
    expect(await role.metrics()).toMatch(/node_calls_total\{[^}]*outcome="wrong-network"/);
    expect(role.isRunning).toBe(true);

    proxy.relent();
    await expectWork(await role.ready(), (await tipOf(node)).hash);
    expect(await role.trouble()).toBeNull();

    // A node that restarts makes another cookie.
    proxy.login = `${COOKIE.user}:${COOKIE.first}`;
    proxy.hangUp();
    await writeFile(cookiePath, `${COOKIE.user}:${COOKIE.first}\n`);
    const watch = await TemplateWatch.open(role);
    await using _watch = watch;
    const blockHash = await watch.mine(await watch.given("work"));
    await watch.given("work on the block", ({ parent }) => parent === blockHash);
    expect(role.log()).not.toContain(COOKIE.first);
    expect(role.log()).not.toContain(COOKIE.second);
  });

  test.concurrent("a node that refuses user and password is named with what to compare, and used as soon as it takes them", async () => {
    await using stage = await Stage.open();
    await using node = await start({ folder: join(stage.folder, "node") });
    await using proxy = await NodeProxy.start(node);
    const access = { rpcUrl: proxy.rpcUrl, user: credentials.user, password: "another" };
    const role = await stage.launch("template-provider", (folder) => nodeTemplateProviderToml(folder, [access]));
    await says(role, /refuses user and password \(HTTP 401\); compare them with rpcauth, rpcuser and rpcpassword/);
    proxy.login = `${access.user}:${access.password}`;
    await expectWork(await role.ready(), (await tipOf(node)).hash);
    expect(role.log()).not.toContain(access.password);
  });
}

/** Resolves when the role tells a trouble in its readiness, its status and its log, all in the same words. */
async function says(role: TestRole, words: RegExp): Promise<void> {
  await until(`the role says ${words}`, async () => words.test((await role.trouble()) ?? ""));
  expect((await role.status()).nodes).toMatchObject([{ state: "down", error: expect.stringMatching(words) as string }]);
  await role.logged(new RegExp(`${words.source}.*node does not answer`));
}

async function expectWork(role: TestRole, tip: string): Promise<void> {
  await using watch = await TemplateWatch.open(role);
  await watch.given("work on the tip", ({ parent }) => parent === tip);
}
