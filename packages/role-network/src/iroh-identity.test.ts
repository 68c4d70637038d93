import { mkdtemp, readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { LanDiscovery } from "@adit/network-helpers/iroh";
import { irohSettings, metricsRegister, noReload, openLog, type RoleContext } from "@adit/role-kit";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { openNetwork } from "./network.ts";
import { listenLimits } from "./settings.ts";

interface Scene {
  readonly dir: string;
  readonly log: () => Promise<string>;
  readonly context: RoleContext<never>;
}

async function scene(): Promise<Scene> {
  const dir = await mkdtemp(join(tmpdir(), "adit-identity-"));
  const file = join(dir, "log");
  return {
    dir,
    log: () => readFile(file, "utf8"),
    context: {
      ...noReload,
      signal: new AbortController().signal,
      log: openLog({ role: "test", level: "debug", file }),
      metrics: metricsRegister(),
      now: () => Date.now(),
      ready: () => {},
      notReady: () => {},
      setStatus: () => {},
    },
  };
}

const limits = z.strictObject(listenLimits).parse({});
const server = {
  protocol: "mining",
  supportedFlags: 0,
  successFlags: () => 0,
  supportedExtensions: [],
  requiredExtensions: [],
  maxPayload: () => 1024,
} as const;
const hello = { protocol: "mining", flags: 0, requestExtensions: [], requiredExtensions: [] } as const;
const loopback = { bind: ["127.0.0.1:0", "[::1]:0"], lanInterfaces: ["127.0.0.1"] };

/** Whether mDNS works on this machine's loopback interface. A container may have it switched off. */
const hasMulticast = await (async () => {
  const id = "ae58ff8833241ac82d6ff7611046ed67b5072d142c588d0063e942d9a75502b6";
  const options = { interfaces: ["127.0.0.1"], onEvent: () => {} };
  await using one = await LanDiscovery.open(options);
  await using two = await LanDiscovery.open(options);
  one.announce(id, () => ({ endpointId: id, alpns: [], addresses: ["10.0.0.1:1"] }));
  return (await two.find(id, { signal: new AbortController().signal })).addresses.length > 0;
})();
if (!hasMulticast)
  process.stderr.write(
    "SKIPPED: this machine has no multicast on loopback; LAN discovery is not tested over sockets\n",
  );

describe("a role's Iroh identity", () => {
  test.skipIf(!hasMulticast)(
    "is dialled by its endpoint id alone where LAN discovery is on, and the log says how it was found",
    async () => {
      const [host, client] = [await scene(), await scene()];
      const iroh = ({ dir }: Scene) =>
        irohSettings.parse({ ...loopback, secretKeyPath: join(dir, "iroh.key"), lanDiscovery: true });
      await using hosting = await openNetwork({ iroh: iroh(host), needsIroh: true }, host.context);
      await using dialling = await openNetwork({ iroh: iroh(client), needsIroh: true }, client.context);
      await using _served = await hosting.serve({
        settings: { transport: "iroh", encryption: "plain", certValiditySec: 3600, iroh: iroh(host) },
        limits,
        server,
        signal: host.context.signal,
        handler: async (connection) => {
          for await (const _ of connection.messages);
        },
      });
      const upstream = { transport: "iroh", prefer: "iroh", encryption: "plain", directAddresses: [] } as const;
      const endpointId = hosting.endpointId ?? "";
      await using connection = await dialling.dial({ ...upstream, endpointId }, hello, client.context);
      expect(connection.info()).toMatchObject({ transport: "iroh", endpointId });
      expect(await client.log()).toMatch(
        /"tried":"lan found 127\.0\.0\.1:\d+ \(\w[\w ]*\); n0-dns not-used.*iroh peer found/,
      );
      expect((await client.context.metrics.expose()).body).toMatch(/sv2_lan_packets_total\{outcome="read"\} [1-9]/);
    },
  );
});
