import { createSocket } from "node:dgram";
import { once } from "node:events";
import { expect, test, vi } from "vitest";
import { clearLink, type LinkConditions, UdpLink } from "./testing/udp-link.ts";

/** Sends `count` datagrams through a link, one at a time: what became of each, and what arrived. */
async function throughLink(
  conditions: LinkConditions,
  count: number,
): Promise<{ readonly lost: readonly number[]; readonly arrived: readonly number[] }> {
  const [sink, socket] = [createSocket("udp4").bind(0, "127.0.0.1"), createSocket("udp4").bind(0, "127.0.0.1")];
  await Promise.all([once(sink, "listening"), once(socket, "listening")]);
  const arrived: number[] = [];
  sink.on("message", (bytes) => arrived.push(bytes[0] ?? -1));
  const target = { host: "127.0.0.1", port: sink.address().port };
  await using link = await UdpLink.open({ host: "127.0.0.1", target, conditions, seed: 7 });
  const [host, port] = link.address.split(":");
  const lost: number[] = [];
  for (let index = 0; index < count; index++) {
    const { dropped } = link.counts;
    socket.send(Uint8Array.of(index), Number(port), host);
    await vi.waitFor(() => expect(link.counts.forwarded + link.counts.dropped).toBe(index + 1), {
      interval: 1,
      timeout: 10_000,
    });
    if (link.counts.dropped > dropped) lost.push(index);
  }
  await vi.waitFor(() => expect(arrived.length).toBe(link.counts.forwarded), 10_000);
  for (const each of [sink, socket]) each.close();
  return { lost, arrived };
}

test("a clear link passes everything in order", async () => {
  const { lost, arrived } = await throughLink(clearLink, 20);
  expect(lost).toEqual([]);
  expect(arrived).toEqual(Array.from({ length: 20 }, (_, index) => index));
});

test("a lossy link loses the same datagrams for the same seed, and passes the others", async () => {
  const lossy = { ...clearLink, loss: 0.3 };
  const { lost, arrived } = await throughLink(lossy, 40);
  expect(lost.length).toBeGreaterThan(5);
  expect(lost.length).toBeLessThan(25);
  expect([...lost, ...arrived].toSorted((a, b) => a - b)).toEqual(Array.from({ length: 40 }, (_, index) => index));
  expect((await throughLink(lossy, 40)).lost).toEqual(lost);
});

test("a link with jitter changes the order", async () => {
  const { arrived } = await throughLink({ ...clearLink, jitterMs: 50 }, 40);
  expect(arrived.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 40 }, (_, index) => index));
  expect(arrived).not.toEqual(arrived.toSorted((a, b) => a - b));
});
