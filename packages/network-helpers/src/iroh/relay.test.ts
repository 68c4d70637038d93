import { expect, test, vi } from "vitest";
import { loopbackNode } from "./testing/loopback.ts";
import { testRelay } from "./testing/relay.ts";
import { echoAll, readExactly } from "./testing/streams.ts";

const never = new AbortController().signal;

test("a peer known by id and relay alone is reached through the relay, and then directly", async () => {
  await using relay = await testRelay({ token: "pass" });
  const options = { relay: [{ url: relay.url, authToken: "pass" }] };
  await using server = await loopbackNode(options);
  await using client = await loopbackNode(options);
  await using listener = await server.transport("test").listen("", { signal: never });
  const serving = echoAll(listener.streams);
  await server.online({ signal: AbortSignal.timeout(10_000) });
  expect(server.address().relayUrls).toEqual([relay.url]);

  const address = `${server.endpointId}?relay=${relay.url}`;
  const stream = await client.transport("test").dial(address, { signal: AbortSignal.timeout(10_000) });
  const paths = [stream.info().path];
  const source = stream.source[Symbol.asyncIterator]();
  await vi.waitFor(
    async () => {
      await stream.write(Uint8Array.of(1));
      await readExactly(source, 1);
      paths.push(stream.info().path);
      expect(paths.at(-1)).toBe("direct");
    },
    { timeout: 15_000, interval: 20 },
  );
  // The two met through the relay, as there was no other way; how soon they leave it is up to them.
  expect(relay.forwarded()).toBeGreaterThan(0);
  expect(paths.slice(0, paths.indexOf("direct")).every((path) => path === "relay")).toBe(true);
  expect(stream.info()).toMatchObject({ transport: "iroh", endpointId: server.endpointId, rttMs: expect.any(Number) });
  await stream[Symbol.asyncDispose]();
  await listener[Symbol.asyncDispose]();
  await serving;
});

test("a relay that refuses the token leaves the node offline but its direct addresses usable", async () => {
  await using relay = await testRelay({ token: "pass" });
  await using server = await loopbackNode({ relay: [{ url: relay.url, authToken: "wrong" }] });
  await using client = await loopbackNode();
  await expect(server.online({ signal: AbortSignal.timeout(700) })).rejects.toMatchObject({ code: "timed-out" });
  await using listener = await server.transport("test").listen("", { signal: never });
  const serving = echoAll(listener.streams);
  const stream = await client.transport("test").dial(listener.address, { signal: never });
  await stream.write(Uint8Array.of(1));
  await readExactly(stream.source[Symbol.asyncIterator](), 1);
  expect(stream.info().path).toBe("direct");
  await stream[Symbol.asyncDispose]();
  await listener[Symbol.asyncDispose]();
  await serving;
});
