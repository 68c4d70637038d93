import { describe, expect, test } from "vitest";
import { targetPage } from "./farm-page.ts";
import { TargetBoard } from "./target-board.ts";

const answer = { page: targetPage("a", "a 1\n"), health: null };
const failure = { reason: "gone", isLeftAlone: false };

function board(names: readonly string[], intervalMs = 1000): TargetBoard {
  const made = new TargetBoard({ intervalMs });
  made.setTargets(names, 0);
  return made;
}

describe("a board of targets", () => {
  test("asks all at once, and from then on spreads them over the interval", () => {
    const targets = board(["a", "b"]);
    expect(targets.dueAt).toBe(0);
    expect(targets.start(0)).toEqual(["a", "b"]);
    expect(targets.dueAt).toBe(Number.POSITIVE_INFINITY);
    for (const name of ["a", "b"]) targets.answered(name, answer, 100);
    expect(targets.dueAt).toBe(500);
    expect(targets.start(499)).toEqual([]);
    expect(targets.start(500)).toEqual(["a"]);
    expect(targets.start(1000)).toEqual(["b"]);
    targets.answered("a", answer, 1400);
    expect(targets.dueAt).toBe(1500);
  });

  test("does not ask again before there is an answer, and keeps its step after one that took long", () => {
    const targets = board(["a"]);
    targets.start(0);
    expect(targets.start(5000)).toEqual([]);
    targets.failed("a", failure, 5300);
    expect(targets.start(5300)).toEqual(["a"]);
    targets.answered("a", answer, 5400);
    expect(targets.dueAt).toBe(6000);
  });

  test("tells when a target goes and when it comes, each once", () => {
    const targets = board(["a"], 10);
    const look = (now: number, ok: boolean) => {
      targets.start(now);
      return ok ? targets.answered("a", answer, now + 1) : targets.failed("a", failure, now + 1);
    };
    expect(look(0, true)).toEqual([{ type: "target-up", target: "a" }]);
    expect(look(10, true)).toEqual([]);
    expect(look(20, false)).toEqual([{ type: "target-down", target: "a", reason: "gone" }]);
    expect(look(30, false)).toEqual([]);
    expect(look(40, true)).toEqual([{ type: "target-up", target: "a" }]);
  });

  test("forgets an answer when there is none any more, and keeps why, also while the target is left alone", () => {
    const targets = board(["a"], 10);
    targets.start(0);
    targets.answered("a", answer, 4);
    expect(targets.views()).toEqual([{ name: "a", state: { phase: "up", answer }, answeredAt: 4, tookMs: 4 }]);
    targets.start(10);
    targets.failed("a", failure, 12);
    targets.start(20);
    targets.failed("a", { reason: "left alone", isLeftAlone: true }, 20);
    expect(targets.views()).toEqual([
      { name: "a", state: { phase: "down", reason: "gone" }, answeredAt: 4, tookMs: 0 },
    ]);
    targets.start(30);
    targets.failed("a", { reason: "refused", isLeftAlone: false }, 30);
    expect(targets.views()[0]?.state).toEqual({ phase: "down", reason: "refused" });
  });

  test("keeps what is known of targets that stay, asks new ones at once, and does not hear those that are gone", () => {
    const targets = board(["a", "b"]);
    targets.start(0);
    targets.answered("a", answer, 1);
    targets.setTargets(["c", "a"], 5);
    expect(targets.answered("b", answer, 6)).toEqual([]);
    expect(targets.views().map(({ name, state }) => [name, state.phase])).toEqual([
      ["c", "unknown"],
      ["a", "up"],
    ]);
    expect(targets.start(6)).toEqual(["c"]);
    targets.forget("a", 7);
    expect(targets.start(7)).toEqual(["a"]);
    expect(targets.views()[1]?.state).toEqual({ phase: "unknown" });
  });

  test("does not hear an answer nobody asked for", () => {
    const targets = board(["a"]);
    expect(targets.answered("a", answer, 1)).toEqual([]);
    expect(targets.views()[0]?.state.phase).toBe("unknown");
  });
});
