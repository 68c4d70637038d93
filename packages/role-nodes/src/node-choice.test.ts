import { describe, expect, test } from "vitest";
import { failed, hashOf, nodeHeader, polled, templateOn } from "./testing/node-events.ts";
import { chosen, SimulatedNodes, servedOn } from "./testing/simulated-nodes.ts";

const types = (effects: readonly { readonly type: string }[]): readonly string[] => effects.map(({ type }) => type);
const seen = (height: number) => ({ type: "tip-seen", hash: hashOf(height), by: "poll" }) as const;

/** Two nodes at 101, templates from the first one. */
function settled(): SimulatedNodes {
  const nodes = new SimulatedNodes();
  nodes.sees(0, polled(101), templateOn(101));
  nodes.sees(1, polled(101));
  nodes.live(15, [0, polled(101)], [1, polled(101)]);
  return nodes;
}

describe("the node that templates come from", () => {
  test("is the first that answers, and is then asked for them", () => {
    const nodes = new SimulatedNodes();
    expect(nodes.states).toEqual(["down", "down"]);
    expect(nodes.sees(1, polled(101))).toEqual([
      { type: "node-up", node: 1 },
      { type: "chosen", node: 1 },
      { type: "want-templates", node: 1, wanted: true },
    ]);
    expect(nodes.states).toEqual(["down", "active"]);
  });

  test("is the preferred one as soon as that has kept up for ten seconds", () => {
    const nodes = new SimulatedNodes();
    nodes.sees(1, polled(101));
    nodes.sees(0, polled(101));
    expect(chosen(nodes.pass(9_999))).toEqual([]);
    expect(nodes.pass(1)).toEqual([
      { type: "want-templates", node: 1, wanted: false },
      { type: "chosen", node: 0 },
      { type: "want-templates", node: 0, wanted: true },
    ]);
  });

  test("is another at once when it does not answer, and it again once it has for ten seconds", () => {
    const nodes = settled();
    expect(chosen(nodes.sees(0, failed("poll")))).toEqual([1]);
    expect(nodes.states).toEqual(["down", "active"]);
    nodes.pass(60_000);
    nodes.sees(0, polled(101));
    expect(nodes.states).toEqual(["standby", "active"]);
    expect(chosen(nodes.pass(9_999))).toEqual([]);
    expect(chosen(nodes.pass(1))).toEqual([0]);
  });

  test("is not the preferred one while that comes and goes", () => {
    const nodes = settled();
    nodes.sees(0, failed("poll"));
    const effects = nodes.live(60, [0, failed("poll")], [0, polled(101)], [1, polled(101)]);
    expect(chosen(effects)).toEqual([]);
    expect(nodes.states).toEqual(["standby", "active"]);
  });

  test("is another at once when it is behind, and it again only when it has kept up for ten seconds", () => {
    const nodes = settled();
    expect(chosen(nodes.sees(1, polled(102)))).toEqual([1]);
    expect(nodes.states).toEqual(["behind", "active"]);
    nodes.pass(500);
    expect(chosen(nodes.sees(0, polled(102)))).toEqual([]);
    expect(chosen(nodes.pass(9_999))).toEqual([]);
    expect(chosen(nodes.pass(1))).toEqual([0]);
  });

  test("is one that is behind only when no other has been heard of for ten minutes", () => {
    const nodes = settled();
    nodes.sees(1, polled(102), failed("poll"));
    nodes.sees(0, polled(101));
    expect(nodes.states).toEqual(["behind", "down"]);
    expect(chosen(nodes.live(599, [0, polled(101)]))).toEqual([]);
    expect(chosen(nodes.live(1, [0, polled(101)]))).toEqual([0]);
    expect(nodes.states).toEqual(["active", "down"]);
  });

  test("stays the one it was when nobody answers, and is still asked", () => {
    const nodes = settled();
    nodes.sees(1, failed("poll"));
    expect(types(nodes.sees(0, failed("poll")))).toEqual(["node-down"]);
    expect(chosen(nodes.pass(3_600_000))).toEqual([]);
    expect(types(nodes.sees(0, polled(101), templateOn(101)))).toEqual(["node-up", "serve"]);
  });

  test("stays the preferred one when another has a different block of the same height", () => {
    const nodes = settled();
    nodes.sees(1, polled(102, hashOf(9_102)));
    nodes.sees(0, polled(102));
    nodes.live(15, [0, polled(102)], [1, polled(102, hashOf(9_102))]);
    expect(nodes.states).toEqual(["active", "standby"]);
    expect(servedOn(nodes.sees(0, templateOn(102)))).toEqual([102]);
  });
});

describe("a node that answers polls but has no template", () => {
  test("is left for one that has, and gone back to after half a minute", () => {
    const nodes = settled();
    const effects = nodes.sees(0, failed("request", "initial-block-download"));
    expect(types(effects)).toEqual(["node-fault", "want-templates", "chosen", "want-templates"]);
    expect(nodes.choice.views(nodes.now)[0]).toMatchObject({
      state: "standby",
      error: { code: "initial-block-download" },
    });
    expect(chosen(nodes.live(29, [0, polled(101)], [1, templateOn(101)]))).toEqual([]);
    expect(chosen(nodes.live(1, [0, polled(101)], [1, templateOn(101)]))).toEqual([0]);
  });

  test("is gone back to less and less often, for each time costs a wait, and as before once it has had one", () => {
    const nodes = settled();
    const secondsAway = (): number => {
      nodes.sees(0, failed("request", "timed-out"));
      for (let seconds = 1; ; seconds++) {
        if (chosen(nodes.live(1, [0, polled(101)], [1, templateOn(101)])).includes(0)) return seconds;
      }
    };
    expect([1, 2, 3, 4, 5, 6].map(secondsAway)).toEqual([30, 60, 120, 240, 480, 480]);
    nodes.sees(0, templateOn(101));
    expect(secondsAway()).toBe(30);
  });

  test("because it is about to go away is gone back to like any other once it is back", () => {
    const nodes = settled();
    nodes.sees(0, failed("request"), failed("poll"));
    nodes.live(5, [1, templateOn(101)]);
    nodes.sees(0, polled(101));
    expect(chosen(nodes.live(9, [0, polled(101)], [1, templateOn(101)]))).toEqual([]);
    expect(chosen(nodes.live(1, [0, polled(101)], [1, templateOn(101)]))).toEqual([0]);
  });

  test("is asked on and on when no other has one either, and every new fault is told once", () => {
    const nodes = settled();
    nodes.sees(1, failed("poll"));
    const timeout = failed("request", "timed-out");
    const effects = nodes.live(100, [0, polled(101)], [0, timeout]);
    expect(types(effects)).toEqual(["node-fault"]);
    expect(types(nodes.sees(0, failed("request", "busy")))).toEqual(["node-fault"]);
    expect(servedOn(nodes.sees(0, templateOn(101)))).toEqual([101]);
    expect(nodes.choice.views(nodes.now)[0]?.error).toBeUndefined();
  });
});

test("a node that alone had no template for long is gone back to as soon as any other", () => {
  const nodes = settled();
  nodes.sees(1, failed("poll"));
  nodes.live(100, [0, polled(101)], [0, failed("request")]);
  expect(chosen(nodes.sees(1, polled(101)))).toEqual([1]);
  expect(chosen(nodes.live(28, [0, polled(101)], [1, templateOn(101)]))).toEqual([]);
  expect(chosen(nodes.live(1, [0, polled(101)], [1, templateOn(101)]))).toEqual([0]);
});

test("a node whose long polls are cut off is not left, and that is told once until one gets through", () => {
  const nodes = settled();
  const cut = failed("long-poll");
  expect(types(nodes.live(100, [0, cut], [0, polled(101)], [1, polled(101)]))).toEqual(["node-fault"]);
  nodes.sees(0, templateOn(101, { by: "long-poll" }));
  expect(types(nodes.sees(0, cut))).toEqual(["node-fault"]);
  expect(nodes.states).toEqual(["active", "standby"]);
});

describe("a node that comes back with a lower tip than it had", () => {
  test("has lost it for the moment, and gives no templates until it is there again", () => {
    const nodes = new SimulatedNodes({ nodes: 1 });
    nodes.sees(0, polled(101), templateOn(101));
    nodes.sees(0, polled(103), failed("poll"));
    expect(types(nodes.sees(0, polled(101), templateOn(101)))).toEqual(["node-up", "template-behind"]);
    expect(nodes.states).toEqual(["behind"]);
    expect(servedOn(nodes.sees(0, templateOn(103)))).toEqual([103]);
  });

  test("has not got it back by going away once more", () => {
    const nodes = new SimulatedNodes({ nodes: 1 });
    nodes.sees(0, polled(103), failed("poll"));
    nodes.sees(0, polled(101), failed("poll"));
    expect(servedOn(nodes.sees(0, polled(101), templateOn(101)))).toEqual([]);
    expect(servedOn(nodes.sees(0, templateOn(103)))).toEqual([103]);
    expect(servedOn(nodes.sees(0, polled(101), templateOn(101)))).toEqual([101]);
  });

  test("is believed after ten minutes, and at once when it was not away", () => {
    const nodes = new SimulatedNodes({ nodes: 1 });
    nodes.sees(0, polled(101), templateOn(101));
    nodes.sees(0, polled(103), failed("poll"));
    expect(servedOn(nodes.live(600, [0, polled(101)], [0, templateOn(101)]))).toEqual([]);
    expect(servedOn(nodes.live(1, [0, polled(101)], [0, templateOn(101)]))).toEqual([101]);
    nodes.sees(0, templateOn(102));
    expect(servedOn(nodes.sees(0, polled(101), templateOn(101)))).toEqual([101]);
  });
});

describe("a template", () => {
  test("is served when it builds on the best known tip, and only the active node's", () => {
    const nodes = settled();
    expect(servedOn(nodes.sees(0, templateOn(101)))).toEqual([101]);
    expect(nodes.sees(1, templateOn(101))).toEqual([]);
  });

  test("of a node that is behind is told and not served", () => {
    const nodes = settled();
    nodes.sees(1, polled(102), failed("poll"));
    expect(chosen(nodes.sees(0, polled(102)))).toEqual([0]);
    nodes.pass(1_000);
    expect(nodes.sees(0, templateOn(101))).toEqual([
      { type: "template-behind", node: 0, height: 101, bestHeight: 102 },
    ]);
  });

  test("that shows a newer tip than the polls is served at once", () => {
    const nodes = settled();
    expect(servedOn(nodes.sees(0, templateOn(102, { by: "long-poll", tookMs: 90_000 })))).toEqual([102]);
    expect(nodes.states).toEqual(["active", "behind"]);
  });

  test("that was asked for before a newer tip was seen is passed over", () => {
    const nodes = settled();
    nodes.sees(0, polled(102), seen(102));
    nodes.pass(100);
    expect(nodes.sees(0, templateOn(101, { tookMs: 300 }))).toEqual([]);
    expect(servedOn(nodes.sees(0, templateOn(102, { tookMs: 50 })))).toEqual([102]);
  });

  test("on a lower tip is served when the node's chain went back", () => {
    const nodes = new SimulatedNodes({ nodes: 1 });
    nodes.sees(0, polled(102), templateOn(102));
    nodes.pass(1_000);
    nodes.sees(0, polled(101), seen(101));
    nodes.pass(100);
    expect(servedOn(nodes.sees(0, templateOn(101, { tookMs: 50 })))).toEqual([101]);
  });

  test("on a lower tip is not served when another node's chain has not gone back", () => {
    const nodes = settled();
    nodes.sees(0, polled(102));
    nodes.sees(1, polled(102));
    nodes.sees(0, templateOn(102));
    expect(chosen(nodes.sees(0, polled(101), seen(101)))).toEqual([1]);
    expect(servedOn(nodes.sees(0, templateOn(101)))).toEqual([]);
    expect(servedOn(nodes.sees(1, templateOn(102)))).toEqual([102]);
  });
});

describe("a stopgap", () => {
  /** The active node has block 102 and is slow to build on it. */
  function slow(options: ConstructorParameters<typeof SimulatedNodes>[0] = {}): SimulatedNodes {
    const nodes = new SimulatedNodes(options);
    nodes.sees(0, polled(101), templateOn(101));
    nodes.pass(5_000);
    nodes.sees(0, polled(102), seen(102));
    return nodes;
  }

  test("is made from the header of a tip whose template takes its time, and the full one follows", () => {
    const nodes = slow();
    expect(nodes.pass(249)).toEqual([]);
    expect(nodes.pass(1)).toEqual([{ type: "ask-header", node: 0, hash: hashOf(102) }]);
    expect(nodes.pass(10_000)).toEqual([]);
    expect(nodes.tells(0, nodeHeader(102))).toMatchObject([
      { type: "serve", received: { isStopgap: true, template: { height: 103, prevHash: hashOf(102) } } },
    ]);
    expect(nodes.sees(0, templateOn(102))).toMatchObject([{ type: "serve", received: { isStopgap: false } }]);
    expect(nodes.pass(10_000)).toEqual([]);
  });

  test("goes on with the node's time, not with ours", () => {
    const nodes = slow();
    nodes.now += 60_000;
    nodes.pass(250);
    const [serve] = nodes.tells(0, nodeHeader(102));
    expect(serve).toMatchObject({ received: { template: { curTime: 1_800_000_000 + 65 } } });
  });

  test("is not made when the full template is in time, or when there are to be none", () => {
    const inTime = slow();
    inTime.sees(0, templateOn(102));
    expect(inTime.pass(10_000)).toEqual([]);
    expect(slow({ emptyTemplateAfterMs: 0 }).pass(10_000)).toEqual([]);
  });

  test("is not made before there was any template, for it takes over what a header lacks", () => {
    const nodes = new SimulatedNodes();
    nodes.sees(0, polled(101), seen(101));
    expect(nodes.pass(10_000)).toEqual([]);
  });

  test("is not made when the header comes too late, is unknown or of another chain", () => {
    const late = slow();
    late.pass(250);
    late.sees(0, templateOn(102));
    expect(late.tells(0, nodeHeader(102))).toEqual([]);
    const unknown = slow();
    unknown.pass(250);
    expect(unknown.tells(0, undefined)).toEqual([]);
    expect(unknown.tells(0, nodeHeader(102, { confirmations: -1 }))).toEqual([]);
    expect(unknown.tells(0, nodeHeader(104))).toEqual([]);
    expect(unknown.tells(1, nodeHeader(102))).toEqual([]);
  });

  test("is not made below a tip that another node has seen meanwhile", () => {
    const nodes = slow();
    nodes.pass(250);
    nodes.sees(1, polled(103), failed("poll"));
    expect(nodes.tells(0, nodeHeader(102))).toEqual([]);
  });

  test("is not made for a tip that the node has left again", () => {
    const nodes = slow();
    nodes.sees(0, polled(101), seen(101));
    expect(nodes.pass(10_000)).toEqual([]);
  });

  test("is asked of the next node when the first one dies over it", () => {
    const nodes = slow();
    nodes.sees(1, polled(102), seen(102));
    expect(nodes.pass(250)).toMatchObject([{ type: "ask-header", node: 0 }]);
    nodes.tells(0, undefined);
    expect(chosen(nodes.sees(0, failed("poll")))).toEqual([1]);
    expect(nodes.pass(250)).toEqual([{ type: "ask-header", node: 1, hash: hashOf(102) }]);
    expect(nodes.tells(1, nodeHeader(102))).toMatchObject([{ type: "serve", received: { isStopgap: true } }]);
  });
});

describe("what the operator is told of a node", () => {
  test("is that it is gone once for each reason, and that it is back", () => {
    const nodes = settled();
    const gone = failed("poll");
    expect(types(nodes.live(3, [1, gone]))).toEqual(["node-down"]);
    expect(types(nodes.sees(1, failed("poll", "warming-up")))).toEqual(["node-down"]);
    expect(nodes.choice.views(nodes.now)[1]).toMatchObject({ state: "down", error: { code: "warming-up" } });
    expect(types(nodes.sees(1, polled(101)))).toEqual(["node-up"]);
    expect(nodes.choice.views(nodes.now)[1]).toMatchObject({ state: "standby", error: undefined });
  });

  test("is a fault beside it, which changes nothing else", () => {
    const nodes = settled();
    expect(types(nodes.sees(0, failed("zmq", "zmq-unavailable")))).toEqual(["node-fault"]);
    expect(nodes.states).toEqual(["active", "standby"]);
  });
});

test("a node that is not among them is refused", () => {
  expect(() => new SimulatedNodes().sees(2, polled(1))).toThrow("there is no node 2");
});
