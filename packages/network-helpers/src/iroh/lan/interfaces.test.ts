import type { NetworkInterfaceInfo } from "node:os";
import { expect, test } from "vitest";
import { lanAddresses, lanInterfaces } from "./interfaces.ts";

const info = (address: string, internal = false): NetworkInterfaceInfo =>
  ({ address, internal, family: address.includes(":") ? "IPv6" : "IPv4" }) as NetworkInterfaceInfo;

const interfaces = {
  lo: [info("127.0.0.1", true), info("::1", true)],
  eth0: [info("192.168.7.9"), info("192.168.8.9"), info("fd00::9"), info("fe80::9")],
  wlan0: [info("10.0.0.9")],
  tun0: [info("fd00::77")],
};

test("speaks mDNS once on every interface with IPv4 but loopback, or on those asked for that exist", () => {
  expect(lanInterfaces(interfaces, [])).toEqual(["192.168.7.9", "10.0.0.9"]);
  expect(lanInterfaces(interfaces, ["192.168.8.9", "127.0.0.1", "192.0.2.1"])).toEqual(["127.0.0.1", "192.168.8.9"]);
  expect(lanInterfaces({}, [])).toEqual([]);
  const many = Object.fromEntries(Array.from({ length: 40 }, (_, at) => [`eth${at}`, [info(`10.0.0.${at}`)]]));
  expect(lanInterfaces(many, [])).toHaveLength(16);
});

test("a node bound to wildcards is reached at every address of its host, each family at its port", () => {
  expect(lanAddresses(interfaces, ["0.0.0.0:34255", "[::]:34256"])).toEqual([
    "192.168.7.9:34255",
    "192.168.8.9:34255",
    "10.0.0.9:34255",
    "[fd00::9]:34256",
    "[fd00::77]:34256",
  ]);
  expect(lanAddresses(interfaces, ["10.0.0.9:1", "[::1]:2"])).toEqual(["10.0.0.9:1", "[::1]:2"]);
});
