import { describe, expect, test } from "vitest";
import { HandshakeGate } from "./handshake-gate.ts";
import { secureInitiator, secureResponder } from "./secure.ts";
import { noiseClient, noiseServer, streamPair, testIdentity } from "./testing/parties.ts";

const never = { signal: new AbortController().signal, peer: "somebody" };

/** A gate whose turns the test makes happen. */
function gateByHand(options: {
  readonly perTurn: number;
  readonly maxQueue: number;
  readonly prepare?: () => number;
}): {
  readonly gate: HandshakeGate;
  readonly turn: () => boolean;
} {
  const turns: (() => void)[] = [];
  const gate = new HandshakeGate({ ...options, nextTurn: (run) => turns.push(run) });
  const turn = (): boolean => {
    const next = turns.shift();
    next?.();
    return next !== undefined;
  };
  return { gate, turn };
}

describe("the handshake gate", () => {
  test("runs so many a turn, in the order they came", async () => {
    const { gate, turn } = gateByHand({ perTurn: 2, maxQueue: 10 });
    const ran: number[] = [];
    const all = [1, 2, 3, 4, 5].map((number) => gate.run(() => ran.push(number), never));
    expect(ran).toEqual([]);
    turn();
    expect(ran).toEqual([1, 2]);
    while (turn());
    expect(ran).toEqual([1, 2, 3, 4, 5]);
    await Promise.all(all);
  });

  test("refuses what does not fit its queue, and hands on what the work throws", async () => {
    const { gate, turn } = gateByHand({ perTurn: 1, maxQueue: 1 });
    const failing = gate.run(() => {
      throw new Error("bad key");
    }, never);
    await expect(gate.run(() => 1, never)).rejects.toMatchObject({ code: "refused", peer: "somebody" });
    expect(gate.waiting).toBe(1);
    turn();
    await expect(failing).rejects.toThrow("bad key");
    const next = gate.run(() => 2, never);
    turn();
    expect(await next).toBe(2);
  });

  test("does not compute for a peer that has given up", async () => {
    const { gate, turn } = gateByHand({ perTurn: 1, maxQueue: 10 });
    const controller = new AbortController();
    const given = gate.run(() => "computed", { signal: controller.signal, peer: "gone" });
    const patient = gate.run(() => "computed", never);
    controller.abort(new DOMException("late", "TimeoutError"));
    turn();
    await expect(given).rejects.toMatchObject({ code: "timed-out", peer: "gone" });
    expect(await patient).toBe("computed");
  });

  test("makes keys ready one a turn while nothing waits, and rests when none is missing", async () => {
    let missing = 3;
    const { gate, turn } = gateByHand({ perTurn: 1, maxQueue: 10, prepare: () => --missing });
    turn();
    expect(missing).toBe(2);
    const handshake = gate.run(() => "done", never);
    turn();
    expect([await handshake, missing]).toEqual(["done", 2]);
    while (turn());
    expect(missing).toBe(0);
  });

  test("keeps an accepted connection's latency in turns while 300 handshakes wait", async () => {
    const identity = testIdentity();
    let computed = 0;
    const counting = { ...noiseServer().noise, identity };
    const gate = new HandshakeGate({ perTurn: 1, maxQueue: 300 });
    const [a, b] = await streamPair();
    const [client, server] = await Promise.all([
      secureInitiator(a, noiseClient(), never),
      secureResponder(b, noiseServer(), never),
    ]);
    const act1 = new Uint8Array(64).fill(3);
    const storm = Array.from({ length: 300 }, () =>
      gate.run(() => {
        computed++;
        return counting.identity.begin(Date.now()).act1(act1);
      }, never),
    );
    const echoing = (async () => {
      for await (const frame of server.reader.frames) {
        await server.writer.write(Uint8Array.of(0, 0, frame.messageType, 0, 0, 0));
      }
    })();
    const answers = client.reader.frames[Symbol.asyncIterator]();
    const computedPerEcho: number[] = [];
    while (gate.waiting > 0) {
      const before = computed;
      await client.writer.write(Uint8Array.of(0, 0, 1, 0, 0, 0));
      await answers.next();
      computedPerEcho.push(computed - before);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await Promise.all(storm);
    expect(Math.max(...computedPerEcho)).toBeLessThanOrEqual(2);
    expect(computedPerEcho.length).toBeGreaterThanOrEqual(100);
    await Promise.all([client[Symbol.asyncDispose](), echoing.then(() => server[Symbol.asyncDispose]())]);
  });
});
