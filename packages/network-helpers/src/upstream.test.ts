import { describe, expect, test } from "vitest";
import type { Transport } from "./byte-stream.ts";
import { NetworkError } from "./errors.ts";
import { memory } from "./memory/index.ts";
import { type DialEvent, dialUpstream, type UpstreamAddress } from "./upstream.ts";

const signal = new AbortController().signal;

/** Dials with memory transports that listen on `listening`, and returns what was told meanwhile. */
async function dial(
  upstream: UpstreamAddress,
  listening: { readonly tcp?: string; readonly iroh?: string | null },
): Promise<{ readonly events: readonly string[]; readonly outcome: unknown }> {
  const transports = { tcp: memory(), iroh: memory() };
  if (listening.tcp !== undefined) await transports.tcp.listen(listening.tcp, { signal });
  if (typeof listening.iroh === "string") await transports.iroh.listen(listening.iroh, { signal });
  const events: DialEvent[] = [];
  const iroh: Transport | undefined = listening.iroh === null ? undefined : transports.iroh;
  const outcome = await dialUpstream(
    upstream,
    { tcp: transports.tcp, iroh },
    { signal, dialTimeoutMs: 1000, onEvent: (event) => events.push(event) },
  ).catch((error: unknown) => error);
  return { events: events.map((event) => `${event.type} ${event.transport}`), outcome };
}

describe("dialling an upstream", () => {
  test("dials the only transport by its own form of address", async () => {
    const query = "?relay=https%3A%2F%2Frelay.example%2F&addr=10.0.0.1%3A4433&addr=%5B%3A%3A1%5D%3A4433";
    const direct = { relayUrl: "https://relay.example/", directAddresses: ["10.0.0.1:4433", "[::1]:4433"] };
    for (const [upstream, listening] of [
      [{ transport: "tcp", address: "::1", port: 3333 }, { tcp: "[::1]:3333" }],
      [{ transport: "iroh", endpointId: "id" }, { iroh: "id" }],
      [{ transport: "iroh", ticket: "ticket", endpointId: "id" }, { iroh: "ticket" }],
      [{ transport: "iroh", endpointId: "id", ...direct }, { iroh: `id${query}` }],
    ] as const) {
      const { events, outcome } = await dial(upstream, listening);
      expect(outcome).toHaveProperty("source");
      expect(events.map((event) => event.split(" ")[0])).toEqual(["dialling", "dialled"]);
    }
  });

  test("fails by name where Iroh is not installed, or nobody listens", async () => {
    const alone = await dial({ transport: "iroh", endpointId: "id" }, { iroh: null });
    expect(alone.outcome).toMatchObject({
      code: "iroh-unavailable",
      message: expect.stringContaining("@number0/iroh"),
    });
    const nobody = await dial({ transport: "tcp", address: "pool.example", port: 3333 }, {});
    expect(nobody.outcome).toBeInstanceOf(NetworkError);
    expect(nobody.events).toEqual(["dialling tcp", "dial-failed tcp"]);
  });

  test("refuses an upstream without the address its transport needs, before it dials", async () => {
    for (const upstream of [
      { transport: "tcp" },
      { transport: "iroh" },
      { transport: "tcp", address: "pool.example" },
    ] as UpstreamAddress[]) {
      const { events, outcome } = await dial(upstream, {});
      expect(outcome).toMatchObject({ code: "invalid-config" });
      expect(events).toEqual([]);
    }
  });

  test("ends when it is told to stop", async () => {
    const controller = new AbortController();
    const dialling = dialUpstream(
      { transport: "iroh", endpointId: "id" },
      { tcp: memory(), iroh: memory() },
      { signal: controller.signal, dialTimeoutMs: 1000, onEvent: () => controller.abort() },
    );
    await expect(dialling).rejects.toMatchObject({ code: "closed" });
  });
});
