import { dialect } from "@adit/codec";
import { openLog } from "@adit/role-kit";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { Downstreams } from "./downstreams.ts";

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
});

afterEach(() => {
  vi.useRealTimers();
});

const log = openLog({ role: "test", level: "error", file: undefined });
const elsewhere = { newHost: "other.example", newPort: 1 };
const farewell = dialect("job_declaration").encode({ name: "Reconnect", ...elsewhere });

/** A server with clients, each of which notes what it is sent. */
function serving(count: number) {
  const downstreams = new Downstreams("job_declaration", log);
  const clients = Array.from({ length: count }, () => {
    const frames: Uint8Array[] = [];
    return { frames, leave: downstreams.enter((frame) => void frames.push(frame)) };
  });
  return { downstreams, clients };
}

/** How long something takes, in milliseconds; undefined when it is not over after ten seconds. */
async function timeOf(work: Promise<void>, meanwhile: (at: number) => void = () => {}): Promise<number | undefined> {
  let isOver = false;
  const ended = work.finally(() => {
    isOver = true;
  });
  for (let at = 0; at <= 10_000; at += 10) {
    await vi.advanceTimersByTimeAsync(at === 0 ? 0 : 10);
    if (isOver) return at;
    meanwhile(at);
  }
  await ended;
  return undefined;
}

describe("clients that are asked to connect elsewhere", () => {
  test("are all told, and waited for until the last has gone", async () => {
    const { downstreams, clients } = serving(3);
    const took = await timeOf(downstreams.sendAway(elsewhere), (at) => {
      if (at % 1_000 === 500) clients[Math.floor(at / 1_000)]?.leave();
    });
    expect(took).toBe(2_510);
    expect(clients.map(({ frames }) => frames)).toEqual([[farewell], [farewell], [farewell]]);
  });

  test("are waited for five seconds", async () => {
    const { downstreams } = serving(1);
    expect(await timeOf(downstreams.sendAway(elsewhere))).toBe(5_000);
  });

  test("are not waited for when there are none", async () => {
    const { downstreams, clients } = serving(1);
    clients[0]?.leave();
    expect(await timeOf(downstreams.takeLeave(elsewhere, () => false))).toBe(0);
  });
});

describe("clients of a server that stops", () => {
  const quiet = (took: number | undefined, after: number): void => {
    expect(took).toBeGreaterThanOrEqual(after + 200);
    expect(took).toBeLessThan(after + 250);
  };

  test("are told nothing when there is no elsewhere, and have what they sent last dealt with", async () => {
    const { downstreams, clients } = serving(1);
    quiet(await timeOf(downstreams.takeLeave(undefined, () => false)), 0);
    expect(clients[0]?.frames).toEqual([]);
  });

  test("are answered what they asked for, also what comes meanwhile", async () => {
    const { downstreams } = serving(1);
    let isBusy = true;
    const leaving = downstreams.takeLeave(undefined, () => isBusy);
    quiet(
      await timeOf(leaving, (at) => {
        if (at === 700) downstreams.heard();
        if (at === 800) isBusy = false;
      }),
      700,
    );
  });

  test("are left after two seconds however much they ask", async () => {
    const { downstreams } = serving(1);
    const took = await timeOf(
      downstreams.takeLeave(undefined, () => true),
      () => downstreams.heard(),
    );
    expect(took).toBeGreaterThanOrEqual(2_000);
    expect(took).toBeLessThan(2_050);
  });
});
