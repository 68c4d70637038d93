import { describe, expect, test } from "vitest";
import { rpcAuth, rpcProblems, rpcUrl } from "./rpc-settings.ts";

test.each([
  ["http://127.0.0.1:8332", undefined, "http://127.0.0.1:8332/"],
  ["http://node", 18_443, "http://node:18443/"],
  ["http://node", undefined, "http://node:48332/"],
  ["http://node/", undefined, "http://node:48332/"],
  ["http://node:80", undefined, "http://node/"],
  ["http://[::1]", undefined, "http://[::1]:48332/"],
  ["http://[::1]:8332/wallet", undefined, "http://[::1]:8332/wallet"],
])("a node at %s with port %s is asked at %s", (coreRpcUrl, coreRpcPort, url) => {
  const settings = { coreRpcUrl, ...(coreRpcPort === undefined ? {} : { coreRpcPort }) };
  expect(rpcUrl(settings, "testnet4")).toBe(url);
});

test("a cookie file logs in, or user and password do", () => {
  const coreRpcUrl = "http://node";
  expect(rpcAuth({ coreRpcUrl, coreRpcCookiePath: "/bitcoin/.cookie" })).toEqual({ cookiePath: "/bitcoin/.cookie" });
  expect(rpcAuth({ coreRpcUrl, coreRpcUser: "adit", coreRpcPass: "x" })).toEqual({ user: "adit", password: "x" });
});

describe("what a config says wrongly of a node", () => {
  const url = "http://node:8332";
  const cookie = { coreRpcUrl: url, coreRpcCookiePath: "/bitcoin/.cookie" };
  const login = { coreRpcUser: "adit", coreRpcPass: "x" };
  const eitherLogin = "expected core_rpc_cookie_path, or core_rpc_user and core_rpc_pass";

  test.each([
    ["nothing of a node with a cookie file", cookie, []],
    ["nothing of one with user and password", { coreRpcUrl: url, ...login }, []],
    ["nothing of what is no URL, which its own key says", { coreRpcUrl: "node" }, []],
    ["that there is no login", { coreRpcUrl: url }, [eitherLogin]],
    ["that there is half a login", { coreRpcUrl: url, coreRpcUser: "adit" }, [eitherLogin]],
    ["that there are two logins", { ...cookie, ...login }, [eitherLogin]],
    [
      "that there are two ports",
      { ...cookie, coreRpcPort: 8_332 },
      ["expected the port in core_rpc_url or in core_rpc_port, not in both"],
    ],
  ])("is %s", (_, node, problems) => {
    expect(rpcProblems(node, "mainnet", new Set())).toEqual(problems);
  });

  test("is that another node is at the same place, by whatever words", () => {
    const seen = new Set<string>();
    expect(rpcProblems(cookie, "mainnet", seen)).toEqual([]);
    expect(rpcProblems({ ...cookie, coreRpcUrl: "http://node" }, "mainnet", seen)).toEqual([
      "expected another node than node:8332, which is listed already",
    ]);
    expect(rpcProblems({ ...cookie, coreRpcUrl: "http://node" }, "signet", seen)).toEqual([]);
  });
});
