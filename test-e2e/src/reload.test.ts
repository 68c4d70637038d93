import { alpns } from "@adit/network-helpers/iroh";
import { afterAll, beforeAll, expect, test } from "vitest";
import { templateProviderToml } from "./harness/configs.ts";
import { dialStream, loopbackNode, setUp } from "./harness/dial.ts";
import { Stage } from "./harness/stage.ts";
import type { TestRole } from "./harness/test-role.ts";

const STRANGER = "ae58ff8833241ac82d6ff7611046ed67b5072d142c588d0063e942d9a75502b6";

let stage: Stage;
let role: TestRole;

beforeAll(async () => {
  stage = await Stage.open();
  role = await stage.start("template-provider", templateProviderToml);
});

afterAll(async () => {
  await stage[Symbol.asyncDispose]();
});

test("SIGHUP changes allowed peers, limits and the log level of a running role, and cuts off who is no longer allowed", async () => {
  await using node = await loopbackNode();
  const stream = await dialStream(role, node, alpns.template_distribution.noise);
  await using connection = await setUp(stream, "template_distribution", role.details.authority_public_key);
  const log = await role.reload((toml) =>
    toml
      .replace("[iroh]", `[iroh]\nallowed_peers = ["${STRANGER}"]`)
      .replace("[limits]", "[limits]\nmax_connections = 1")
      .replace('log_level = "debug"', 'log_level = "info"'),
  );
  expect(log).toContain('"applied":["iroh.allowed_peers","limits.max_connections","log_level"]');
  expect(log).not.toContain("cannot change live");
  const read = async (): Promise<void> => {
    for await (const _ of connection.messages) continue;
  };
  await expect(read()).rejects.toMatchObject({ code: "refused" });

  await using first = await setUp(
    await dialStream(role, undefined),
    "template_distribution",
    role.details.authority_public_key,
  );
  const second = dialStream(role, undefined);
  await expect(
    second.then((over) => setUp(over, "template_distribution", role.details.authority_public_key)),
  ).rejects.toThrow();
  expect(first.info().transport).toBe("tcp");
  expect(await role.sample('sv2_config_reloads_total{result="applied"}')).toBe(1);
});

test("a bad file is refused with the message of a start, and the role goes on as before", async () => {
  const good = await role.reload((toml) => toml);
  expect(good).toContain('"result":"unchanged"');
  let kept = "";
  const log = await role.reload((toml) => {
    kept = toml;
    return toml.replace("max_connections = 1", "max_conections = 9");
  });
  expect(log).toContain("limits.max_conections: unknown key (did you mean max_connections?)");
  expect(log).toContain("config refused: the former one stays in force");
  expect(await role.trouble()).toBeNull();
  expect(await role.sample('sv2_config_reloads_total{result="refused"}')).toBe(1);
  expect(await role.reload(() => kept)).toContain('"result":"unchanged"');
});

test("a key that cannot change live is named, and the rest is applied", async () => {
  const log = await role.reload((toml) =>
    toml
      .replace('listen_address = "127.0.0.1:0"', 'listen_address = "127.0.0.1:1"')
      .replace("max_connections = 1", "max_connections = 5"),
  );
  expect(log).toContain('"applied":["limits.max_connections"]');
  expect(log).toMatch(/"keys":\["listen_address"\].*cannot change live: restart for these keys/);
  expect(await role.stop()).toBe(0);
});
