import { mkdtemp, readdir, readFile, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { Protocol } from "@adit/codec";
import { DEMO_AUTHORITY_PUBLIC_KEY } from "@adit/noise";
import { irohSettings } from "@adit/role-kit";
import { describe, expect, test, vi } from "vitest";
import { z } from "zod";
import { generateAuthority, loadAuthority } from "./authority.ts";
import { openNetwork, type Served } from "./network.ts";
import { listenLimits } from "./settings.ts";
import { miningHello as hello, miningServer as server } from "./testing/mining-server.ts";
import { testContext } from "./testing/role-context.ts";

async function folder(): Promise<string> {
  return await mkdtemp(join(tmpdir(), "adit-network-"));
}

describe("an authority key", () => {
  test("is made at first start for its owner only, and stays", async () => {
    const authorityKeyPath = join(await folder(), "keys", "authority.key");
    const first = await loadAuthority({ authorityKeyPath, certValiditySec: 60 });
    expect(await readdir(dirname(authorityKeyPath))).toEqual(["authority.key"]);
    expect((await stat(authorityKeyPath)).mode & 0o777).toBe(0o600);
    expect(await loadAuthority({ authorityKeyPath, certValiditySec: 60 })).toEqual(first);
  });

  test("that others can read is refused", async () => {
    const authorityKeyPath = join(await folder(), "authority.key");
    await writeFile(authorityKeyPath, generateAuthority().secretKey, { mode: 0o644 });
    await expect(loadAuthority({ authorityKeyPath, certValiditySec: 60 })).rejects.toThrow("chmod 600");
  });

  test("must belong to the public key beside it", async () => {
    const { secretKey } = generateAuthority();
    const other = generateAuthority().publicKey;
    const settings = { authoritySecretKey: secretKey, authorityPublicKey: other, certValiditySec: 60 };
    await expect(loadAuthority(settings)).rejects.toThrow("does not belong");
  });

  test("published in the reference implementation's examples is refused", async () => {
    const authoritySecretKey = "mkDLTBBRxdBv998612qipDYoTK3YUrqLe8uWw7gu3iXbSrn2n";
    await expect(loadAuthority({ authoritySecretKey, certValiditySec: 60 })).rejects.toThrow("published");
    expect(DEMO_AUTHORITY_PUBLIC_KEY).toMatch(/^9auqWE/);
  });
});

const limits = z.strictObject(listenLimits).parse({});

describe("a role's network", () => {
  test("serves TCP and Iroh at once, dials both, shows both in one status, and logs no key", async () => {
    const dir = await folder();
    const log = join(dir, "log");
    const serving = (await testContext(log)).context;
    const dialling = (await testContext(log)).context;
    const bind = ["127.0.0.1:0", "[::1]:0"];
    const iroh = (name: string) => irohSettings.parse({ secretKeyPath: join(dir, name), bind });
    await using host = await openNetwork({ iroh: iroh("host.key"), needsIroh: "required" }, serving);
    await using client = await openNetwork({ iroh: iroh("client.key"), needsIroh: "required" }, dialling);
    await using served = await host.serve({
      settings: {
        transport: "dual",
        listenAddress: "127.0.0.1:0",
        encryption: "noise",
        authorityKeyPath: join(dir, "authority.key"),
        certValiditySec: 3600,
        iroh: iroh("host.key"),
      },
      limits,
      server,
      signal: serving.signal,
      handler: async (connection) => {
        for await (const _ of connection.messages);
      },
    });
    const [tcp, quic] = served.listeners();
    const authority = served.authorityPublicKey ?? "";
    const shared = { encryption: "noise", prefer: "iroh", directAddresses: [], authorityPubkey: authority } as const;
    const port = Number(tcp?.address?.split(":").at(-1));
    {
      await using overTcp = await client.dial(
        { ...shared, transport: "tcp", address: "127.0.0.1", port },
        hello,
        dialling,
      );
      const ticket = quic?.ticket ?? "";
      await using overIroh = await client.dial({ ...shared, transport: "iroh", ticket }, hello, dialling);
      expect([overTcp.info().transport, overIroh.info().transport]).toEqual(["tcp", "iroh"]);
      expect(host.status().connections.map(({ transport, direction }) => [transport, direction])).toEqual([
        ["tcp", "downstream"],
        ["iroh", "downstream"],
      ]);
      expect(client.status().connections).toHaveLength(2);
      await overTcp.write({ name: "CloseChannel", channelId: 1, reasonCode: "" });
      await vi.waitFor(async () => {
        const { body } = await serving.metrics.expose();
        expect(body).toContain('sv2_messages_total{protocol="mining",message="CloseChannel",direction="in"} 1');
      });
      expect((await dialling.metrics.expose()).body).toContain('message="CloseChannel",direction="out"} 1');
      expect((await serving.metrics.expose()).body).toContain(
        'sv2_connections{transport="iroh",direction="downstream"} 1',
      );
    }
    expect(client.status().connections).toEqual([]);
    const secret = (await readFile(join(dir, "authority.key"), "utf8")).trim();
    expect(await readFile(log, "utf8")).not.toContain(secret);
  });

  test("speaks two streams to an Iroh upstream when its config says so, and one where the upstream knows no more", async () => {
    const dir = await folder();
    const [serving, dialling] = [
      (await testContext(join(dir, "log"))).context,
      (await testContext(join(dir, "client.log"))).context,
    ];
    const bind = ["127.0.0.1:0", "[::1]:0"];
    const iroh = (name: string, more: object = {}) =>
      irohSettings.parse({ secretKeyPath: join(dir, name), bind, ...more });
    await using host = await openNetwork({ iroh: iroh("host.key"), needsIroh: "required" }, serving);
    await using client = await openNetwork(
      { iroh: iroh("client.key", { streams: "dual" }), needsIroh: "required" },
      dialling,
    );
    const settings = { transport: "iroh", encryption: "plain", certValiditySec: 3600, iroh: iroh("host.key") } as const;
    const serve = async (protocol: Protocol) =>
      host.serve({
        settings,
        limits,
        server: { ...server, protocol },
        signal: serving.signal,
        handler: async (connection) => {
          for await (const _ of connection.messages);
        },
      });
    await using mining = await serve("mining");
    await using declaring = await serve("job_declaration");
    const upstream = (at: Served) =>
      ({
        transport: "iroh",
        encryption: "plain",
        prefer: "iroh",
        directAddresses: [],
        ticket: at.listeners()[0]?.ticket ?? "",
      }) as const;
    {
      await using dual = await client.dial(upstream(mining), hello, dialling);
      await using single = await client.dial(upstream(declaring), { ...hello, protocol: "job_declaration" }, dialling);
      expect([dual.info().streams, single.info().streams]).toEqual([2, 1]);
      for (const each of [host, client])
        expect(each.status().connections).toMatchObject([{ streams: 2 }, { streams: 1 }]);
      expect((await serving.metrics.expose()).body).toContain("sv2_connections_two_streams 1");
    }
    await vi.waitFor(async () => {
      expect((await serving.metrics.expose()).body).toContain("sv2_connections_two_streams 0");
    });
    expect(await readFile(join(dir, "client.log"), "utf8")).toMatch(/upstream speaks two streams/);
  });

  test("warns of TCP in the clear, and counts what became of dials and what connections carried", async () => {
    const dir = await folder();
    const log = join(dir, "log");
    const own = (await testContext(log)).context;
    const iroh = irohSettings.parse({ secretKeyPath: join(dir, "iroh.key"), bind: ["127.0.0.1:0", "[::1]:0"] });
    await using network = await openNetwork({ iroh, needsIroh: "required" }, own);
    const accepted: string[] = [];
    await using served = await network.serve({
      settings: { transport: "tcp", listenAddress: "127.0.0.1:0", encryption: "plain", certValiditySec: 3600, iroh },
      limits,
      server,
      signal: own.signal,
      handler: async (connection) => {
        accepted.push(connection.peer);
        for await (const _ of connection.messages);
      },
    });
    const port = Number(served.listeners()[0]?.address?.split(":").at(-1));
    const shared = { prefer: "iroh", encryption: "plain", directAddresses: [] } as const;
    const nobody = { ...shared, transport: "iroh", endpointId: `${"a".repeat(63)}b` } as const;
    await expect(network.dial(nobody, hello, own)).rejects.toMatchObject({ code: "peer-discovery-failed" });
    const there = { ...shared, transport: "tcp", address: "127.0.0.1", port } as const;
    await using connection = await network.dial(there, hello, own);
    const lines = (await readFile(log, "utf8")).split("\n");
    expect(lines.filter((line) => line.includes("plain TCP upstream"))).toHaveLength(1);
    const told = lines.flatMap((line) => {
      const [, transport, text] = /"transport":"(\w+)".*"msg":"((?:dialling )?upstream[^"]*)"/.exec(line) ?? [];
      return text === undefined ? [] : [`${transport}: ${text}`];
    });
    expect(told).toEqual([
      "iroh: dialling upstream",
      "iroh: upstream dial failed",
      "tcp: dialling upstream",
      "tcp: upstream dialled",
    ]);
    await connection.write({ name: "CloseChannel", channelId: 1, reasonCode: "" });
    const upstream = (transport: string, result: string): string =>
      `sv2_handshakes_total{transport="${transport}",direction="upstream",result="${result}"} 1`;
    await vi.waitFor(async () => {
      const { body } = await own.metrics.expose();
      expect(body).toContain(upstream("iroh", "peer-discovery-failed"));
      expect(body).toContain(upstream("tcp", "ok"));
      expect(body).toContain('sv2_handshakes_total{transport="tcp",direction="downstream",result="ok"} 1');
      // Both ends of the connection are in this process.
      const { bytesOut, framesOut } = connection.info();
      expect(framesOut).toBeGreaterThan(0);
      const inward = Number(/sv2_bytes_total\{transport="tcp",direction="in"\} (\d+)/.exec(body)?.[1]);
      expect(inward).toBeGreaterThanOrEqual(bytesOut);
      expect(body).not.toContain("sv2_reconnects_total{");
    });
    await connection[Symbol.asyncDispose]();
    await using again = await network.dial(there, hello, own);
    expect((await own.metrics.expose()).body).toContain('sv2_reconnects_total{transport="tcp"} 1');
    await again[Symbol.asyncDispose]();
  });
});
