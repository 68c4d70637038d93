import { expect, test } from "vitest";
import { rpcAuth, rpcUrl } from "./node-access.ts";

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
