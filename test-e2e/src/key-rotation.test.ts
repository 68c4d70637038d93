import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { alpns } from "@adit/network-helpers/iroh";
import { afterAll, beforeAll, expect, test } from "vitest";
import { runAdit } from "./harness/command.ts";
import { templateProviderToml } from "./harness/configs.ts";
import { loopbackNode, setUp } from "./harness/dial.ts";
import { Stage } from "./harness/stage.ts";
import type { TestRole } from "./harness/test-role.ts";

const NAME = "template-provider";

let stage: Stage;
let role: TestRole;

beforeAll(async () => {
  stage = await Stage.open();
  role = await stage.start(NAME, templateProviderToml);
});

afterAll(async () => {
  await stage[Symbol.asyncDispose]();
});

/** Tickets of the Iroh listeners that the status shows, by endpoint id. */
async function tickets(): Promise<ReadonlyMap<string, string>> {
  const { listeners } = await role.status();
  return new Map(
    listeners.flatMap(({ endpoint_id: id, ticket }) => (id === null || ticket === null ? [] : [[id, ticket]])),
  );
}

/** The endpoint id under which a ticket is answered. */
async function answeredAs(ticket: string): Promise<string | null> {
  await using node = await loopbackNode();
  const stream = await node
    .transport(alpns.template_distribution.noise)
    .dial(ticket, { signal: AbortSignal.timeout(5_000) });
  await using connection = await setUp(stream, "template_distribution", role.details.authority_public_key);
  return connection.info().endpointId;
}

test("a key that is rotated while a role runs is taken over by SIGHUP, and both endpoint ids answer until the end", async () => {
  const folder = join(stage.folder, NAME);
  const config = join(folder, "config.toml");
  const former = role.details.endpoint_id ?? "";
  const formerTicket = (await tickets()).get(former) ?? "";

  const { code, stdout, stderr } = await runAdit(["keys", "rotate", config, "--overlap", "7d"]);
  expect([code, stderr]).toEqual([0, ""]);
  const [, current = ""] = /^endpoint_id = "([0-9a-f]{64})"$/m.exec(stdout) ?? [];
  expect(stdout).toContain(`former_endpoint_id = "${former}"`);
  expect(await role.reload((toml) => toml)).toContain('"applied":["iroh.secret_key_path"]');

  const shown = await tickets();
  expect(new Set(shown.keys())).toEqual(new Set([former, current]));
  expect(await answeredAs(formerTicket)).toBe(former);
  expect(await answeredAs(shown.get(current) ?? "")).toBe(current);
  expect(await role.sample('sv2_iroh_connections_total{identity="former"}')).toBe(1);
  await role.logged(/peer dials the former endpoint id: give it the current one/);

  expect((await runAdit(["keys", "rotate", config])).stderr).toMatch(/answered until .*; end that first with --finish/);
  const finished = await runAdit(["keys", "rotate", config, "--finish"]);
  expect(finished.stdout).toContain(`former key of ${former} removed, before `);
  const log = await role.reload((toml) => toml);
  expect(log).toContain("former endpoint id answered no more");
  expect([...(await tickets()).keys()]).toEqual([current]);
  await expect(answeredAs(formerTicket)).rejects.toThrow();

  const files = (await readdir(folder)).filter((file) => file.startsWith("iroh.key"));
  expect(files).toEqual(["iroh.key"]);
  const key = (await readFile(join(folder, "iroh.key"), "utf8")).trim();
  expect(role.log() + stdout + finished.stdout).not.toContain(key);
  expect(await role.stop()).toBe(0);
});

test.each([
  { args: [], code: 2, says: "usage: adit keys rotate FILE" },
  { args: ["a.key", "--overlap", "400d"], code: 2, says: "at most 366 days" },
  { args: ["a.key", "--overlap", "soon"], code: 2, says: "usage: adit keys rotate FILE" },
  { args: ["/nowhere/a.key"], code: 1, says: "there is no key to rotate" },
  { args: ["/nowhere/a.toml"], code: 1, says: "is no config of a role with [iroh]" },
])("adit keys rotate $args says what is wrong", async ({ args, code, says }) => {
  const result = await runAdit(["keys", "rotate", ...args]);
  expect(result.stderr).toContain(says);
  expect(result.code).toBe(code);
});
