import { RouteBook, transportsTo } from "@adit/role-network";
import { expect, test } from "vitest";
import { type TranslatorUpstream, translatorConfig } from "./config.ts";
import { planOf, type Transport } from "./upstream-plan.ts";

const ENDPOINT_ID = "ae58ff8833241ac82d6ff7611046ed67b5072d142c588d0063e942d9a75502b6";

test("a plan names the ways to each pool as people know it, and knows a pool of another config again", () => {
  const book = new RouteBook<TranslatorUpstream, Transport>(transportsTo);
  const brief = (upstreams: readonly object[]): readonly string[] => {
    const config = translatorConfig.parse({ upstreams });
    return planOf(config, book).routes.map(({ id, upstream, name, transport }) => {
      return `${id}: ${name} over ${transport}, upstream ${upstream}`;
    });
  };
  const tcp = { address: "a.example", port: 1, userIdentity: "account" };
  const iroh = { transport: "iroh", endpointId: ENDPOINT_ID, userIdentity: "account" };
  const ticket = { transport: "iroh", ticket: "endpointaaaa", userIdentity: "account" };
  expect(brief([tcp, iroh, ticket])).toEqual([
    "0: a.example:1 over tcp, upstream 0",
    `1: ${ENDPOINT_ID} over iroh, upstream 1`,
    "2: upstream 3 over iroh, upstream 2",
  ]);
  const dual = { ...tcp, transport: "dual", endpointId: ENDPOINT_ID };
  expect(brief([iroh, dual])).toEqual([
    `1: ${ENDPOINT_ID} over iroh, upstream 1`,
    "3: a.example:1 over iroh, upstream 3",
    "4: a.example:1 over tcp, upstream 3",
  ]);
  expect(brief([{ ...dual, prefer: "tcp" }, tcp])).toEqual([
    "4: a.example:1 over tcp, upstream 3",
    "3: a.example:1 over iroh, upstream 3",
    "0: a.example:1 over tcp, upstream 0",
  ]);
});

test("what a config says of patience is the policy of the plan", () => {
  const config = translatorConfig.parse({
    upstreams: [{ address: "a.example", port: 1, userIdentity: "account" }],
    fallback: { retryMaxSecs: 7 },
  });
  expect(planOf(config, new RouteBook<TranslatorUpstream, Transport>(transportsTo)).policy.retryMaxMs).toBe(7000);
});
