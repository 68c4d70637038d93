import { describe, expect, test } from "vitest";
import type { PeerEffect } from "./effects.ts";
import { defaultPeerOptions, type PeerOptions } from "./options.ts";
import { PeerBook, type PeerInput } from "./peer-book.ts";

const down = new Error("down");

/** A book that is told what to do in few words, and answers in few words. */
class Told {
  readonly book: PeerBook;
  now = 0;
  #id = 0;

  constructor(options: Partial<PeerOptions> = {}, random: () => number = () => 0.5) {
    this.book = new PeerBook({ ...defaultPeerOptions, ...options }, random);
  }

  tell(input: PeerInput): readonly string[] {
    return this.book.handle(input, this.now).map(words);
  }

  send(peer: string, bytes = 1): readonly string[] {
    return this.tell({ type: "send", peer, message: ++this.#id, bytes });
  }

  lease(peer: string): readonly string[] {
    return this.tell({ type: "lease", peer, lease: ++this.#id });
  }

  dialled(peer: string, connection: number): readonly string[] {
    return this.tell({ type: "dialled", peer, connection });
  }

  dialFailed(peer: string, connection: number): readonly string[] {
    return this.tell({ type: "dial-failed", peer, connection, error: down });
  }

  delivered(peer: string, connection: number): readonly string[] {
    return this.tell({ type: "delivered", peer, connection });
  }

  deliveryFailed(peer: string, connection: number): readonly string[] {
    return this.tell({ type: "delivery-failed", peer, connection, error: down });
  }

  closed(peer: string, connection: number): readonly string[] {
    return this.tell({ type: "closed", peer, connection });
  }

  /** Lets time pass until `now`, with the ticks that are asked for. */
  until(now: number): readonly string[] {
    const heard: string[] = [];
    while (this.book.dueAt <= now) {
      this.now = this.book.dueAt;
      heard.push(...this.tell({ type: "tick" }));
    }
    this.now = now;
    return heard;
  }
}

function words(effect: PeerEffect): string {
  switch (effect.type) {
    case "dial":
    case "check":
    case "close":
      return `${effect.type} ${effect.peer} ${effect.connection}`;
    case "deliver":
      return `deliver ${effect.message} over ${effect.connection}`;
    case "settle": {
      const { outcome } = effect;
      return `${effect.message} ${outcome.kind}${outcome.kind === "refused" ? `: ${outcome.reason}` : ""}`;
    }
    case "grant":
      return `grant ${effect.lease} ${effect.connection}`;
    case "refuse":
      return `refuse ${effect.lease}: ${effect.reason}`;
    case "report": {
      const { event } = effect;
      return event.type === "peer-closed" ? `${event.type} ${event.reason}` : event.type;
    }
    default:
      return effect satisfies never;
  }
}

describe("the messages of a peer", () => {
  test("wait for one dial and go one after the other, in order", () => {
    const told = new Told();
    expect(told.send("a")).toEqual(["dial a 1"]);
    expect(told.send("a")).toEqual([]);
    expect(told.dialled("a", 1)).toEqual(["peer-connected", "deliver 1 over 1"]);
    expect(told.delivered("a", 1)).toEqual(["1 delivered", "deliver 2 over 1"]);
    expect(told.delivered("a", 1)).toEqual(["2 delivered"]);
  });

  test("a failed delivery closes the connection and is tried again on the next, before those behind it", () => {
    const told = new Told();
    told.send("a");
    told.send("a");
    told.dialled("a", 1);
    expect(told.deliveryFailed("a", 1)).toEqual(["close a 1", "peer-closed failed"]);
    expect(told.closed("a", 1)).toEqual([]);
    expect(told.until(250)).toEqual(["dial a 2"]);
    expect(told.dialled("a", 2)).toEqual(["peer-connected", "deliver 1 over 2"]);
  });

  test("one that has failed three times is dropped, and the next has its turn", () => {
    const told = new Told({ backoffMinMs: 0, breakerFailures: 100 });
    told.send("a");
    told.send("a");
    const heard = [1, 2, 3].flatMap((connection) => {
      told.dialled("a", connection);
      return [...told.deliveryFailed("a", connection), ...told.closed("a", connection)];
    });
    expect(heard.filter((word) => word.endsWith("dropped"))).toEqual(["1 dropped"]);
    expect(told.dialled("a", 4)).toEqual(["peer-connected", "deliver 2 over 4"]);
  });

  test("expire after five minutes, but not while their delivery is under way", () => {
    const told = new Told({ healthCheckMs: Number.POSITIVE_INFINITY });
    told.send("a");
    told.dialled("a", 1);
    told.send("a");
    expect(told.until(299_999)).toEqual([]);
    expect(told.until(300_000)).toEqual(["2 expired"]);
    expect(told.deliveryFailed("a", 1)).toContain("1 expired");
  });

  test("a full buffer refuses the newest, and takes the next once there is room", () => {
    const told = new Told({ maxBufferedBytes: 200 });
    told.send("a", 100);
    expect(told.send("a", 201)).toEqual(["2 refused: message-too-large"]);
    expect(told.send("a", 101)).toEqual(["3 refused: buffer-full"]);
    expect(told.send("a", 100)).toEqual([]);
    expect(told.send("a", 0)).toEqual(["5 refused: buffer-full"]);
    expect(told.send("b", 200)).toEqual(["dial b 2"]);
    told.dialled("a", 1);
    told.delivered("a", 1);
    expect(told.send("a", 100)).toEqual([]);
    expect(told.book.stats().peers[0]).toMatchObject({ messages: 2, bufferedBytes: 200 });
  });

  test("are not sent again while it is unknown what became of a delivery over a lost connection", () => {
    const told = new Told({ backoffMinMs: 0 });
    told.send("a");
    told.dialled("a", 1);
    told.tell({ type: "ended", peer: "a", connection: 1 });
    expect(told.closed("a", 1)).toEqual([]);
    expect(told.delivered("a", 1)).toEqual(["1 delivered"]);
  });
});

describe("the cap on connections", () => {
  test("makes the connection that was idle for the longest give way", () => {
    const told = new Told({ maxConnections: 2 });
    for (const [at, peer] of ["a", "b"].entries()) {
      told.send(peer);
      told.dialled(peer, at + 1);
      told.delivered(peer, at + 1);
      told.now += 10;
    }
    expect(told.send("c")).toEqual(["close a 1", "peer-closed evicted"]);
    expect(told.send("d")).toEqual(["close b 2", "peer-closed evicted"]);
    expect(told.closed("a", 1)).toEqual(["dial c 3"]);
    expect(told.closed("b", 2)).toEqual(["dial d 4"]);
  });

  test("refuses a use when every connection is in use; a message waits for its turn", () => {
    const told = new Told({ maxConnections: 1 });
    expect(told.lease("a")).toEqual(["dial a 1"]);
    expect(told.dialled("a", 1)).toEqual(["peer-connected", "grant 1 1"]);
    expect(told.lease("b")).toEqual(["refuse 2: no-slot"]);
    expect(told.send("c")).toEqual([]);
    expect(told.tell({ type: "lease-ended", peer: "a", lease: 1, result: "worked" })).toEqual([
      "close a 1",
      "peer-closed evicted",
    ]);
    expect(told.closed("a", 1)).toEqual(["dial c 2"]);
  });

  test("holds for remembered peers too: the one quiet for the longest is forgotten, else newcomers are refused", () => {
    const told = new Told({ maxPeers: 2 });
    for (const [at, peer] of ["a", "b"].entries()) {
      told.now = at;
      told.lease(peer);
      told.dialFailed(peer, at + 1);
    }
    expect(told.send("c")).toEqual(["dial c 3"]);
    expect(told.book.stats().peers.map(({ peer }) => peer)).toEqual(["b", "c"]);
    told.send("b");
    expect(told.send("d")).toEqual(["5 refused: too-many-peers"]);
    expect(told.lease("d")).toEqual(["refuse 6: too-many-peers"]);
  });
});

describe("a peer's circuit breaker", () => {
  const failing = (): Told => {
    const told = new Told({ breakerFailures: 3 });
    told.lease("a");
    told.dialFailed("a", 1);
    told.lease("a");
    told.until(1_000);
    told.dialFailed("a", 2);
    told.lease("a");
    told.until(10_000);
    return told;
  };

  test("opens after so many failures in a row, and refuses uses at once", () => {
    const told = failing();
    expect(told.dialFailed("a", 3)).toEqual(["peer-dial-failed", "breaker-opened", "refuse 3: dial-failed"]);
    expect(told.lease("a")).toEqual(["refuse 4: breaker-open"]);
    expect(told.send("a")).toEqual([]);
    expect(told.book.stats().peers[0]).toMatchObject({ breaker: "open", failures: 3, messages: 1 });
  });

  test("lets one trial through after thirty seconds, and opens again when that fails", () => {
    const told = failing();
    told.dialFailed("a", 3);
    told.send("a");
    expect(told.until(39_999)).toEqual([]);
    expect(told.until(40_000)).toEqual(["breaker-half-opened", "dial a 4"]);
    expect(told.send("a")).toEqual([]);
    expect(told.lease("a")).toEqual([]);
    expect(told.dialFailed("a", 4)).toEqual(["peer-dial-failed", "breaker-opened", "refuse 6: dial-failed"]);
    expect(told.until(70_000)).toEqual(["breaker-half-opened", "dial a 5"]);
    expect(told.dialled("a", 5)).toEqual(["peer-connected", "breaker-closed", "deliver 4 over 5"]);
  });

  test("stays on its guard until the peer has done something: one more failure opens it", () => {
    const told = failing();
    told.dialFailed("a", 3);
    told.send("a");
    told.until(40_000);
    told.dialled("a", 4);
    expect(told.deliveryFailed("a", 4)).toEqual(["close a 4", "peer-closed failed", "breaker-opened"]);
  });

  test("forgets its failures once the peer has worked", () => {
    const told = failing();
    told.dialled("a", 3);
    told.tell({ type: "lease-ended", peer: "a", lease: 3, result: "worked" });
    expect(told.book.stats().peers[0]).toMatchObject({ breaker: "closed", failures: 0 });
  });

  test("counts a connection that ends before it was of use, and not one that ends after", () => {
    const told = new Told();
    told.lease("a");
    told.dialled("a", 1);
    told.tell({ type: "ended", peer: "a", connection: 1 });
    expect(told.book.stats().peers[0]).toMatchObject({ failures: 1 });
    told.closed("a", 1);
    told.send("a");
    told.until(250);
    told.dialled("a", 2);
    told.delivered("a", 2);
    told.tell({ type: "ended", peer: "a", connection: 2 });
    expect(told.book.stats().peers[0]).toMatchObject({ failures: 0 });
  });
});

test("pauses between dials are drawn between nothing and a bound that doubles", () => {
  for (const random of [0, 0.999]) {
    const told = new Told({ breakerFailures: 100, messageTtlMs: 1e9 }, () => random);
    told.send("a");
    const pauses = [1, 2, 3, 4, 5, 6, 7, 8].map((connection) => {
      const failedAt = told.now;
      if (told.dialFailed("a", connection).some((word) => word.startsWith("dial "))) return 0;
      expect(told.until(told.book.dueAt)).toEqual([`dial a ${connection + 1}`]);
      return told.now - failedAt;
    });
    const bounds = [500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000];
    expect(pauses).toEqual(bounds.map((bound) => Math.floor(bound * random)));
  }
});

describe("an open connection", () => {
  const open = (): Told => {
    const told = new Told();
    told.send("a");
    told.dialled("a", 1);
    told.delivered("a", 1);
    return told;
  };

  test("is checked every thirty seconds, one check at a time, and closed when it fails", () => {
    const told = open();
    expect(told.until(30_000)).toEqual(["check a 1"]);
    expect(told.until(40_000)).toEqual([]);
    told.tell({ type: "checked", peer: "a", connection: 1, healthy: true });
    expect(told.until(70_000)).toEqual(["check a 1"]);
    expect(told.tell({ type: "checked", peer: "a", connection: 1, healthy: false })).toEqual([
      "close a 1",
      "peer-closed unhealthy",
    ]);
  });

  test("is closed when nobody has used it for five minutes, health checks or not, and the peer forgotten after as long", () => {
    const told = open();
    for (let at = 30_000; at < 300_000; at += 30_000) {
      told.until(at);
      told.tell({ type: "checked", peer: "a", connection: 1, healthy: true });
    }
    expect(told.until(300_000)).toContain("peer-closed idle");
    told.closed("a", 1);
    told.until(599_999);
    expect(told.book.stats().peers).toHaveLength(1);
    told.until(600_000);
    expect(told.book.stats().peers).toEqual([]);
    expect(told.book.dueAt).toBe(Number.POSITIVE_INFINITY);
  });

  test("is not idle while it is in use", () => {
    const told = open();
    told.lease("a");
    expect(told.until(1_000_000)).toEqual(["check a 1"]);
  });
});

test("a stopped book refuses what waits and what comes, closes what is open, and lets deliveries end", () => {
  const told = new Told();
  told.send("a");
  told.send("a");
  told.dialled("a", 1);
  told.lease("b");
  expect(told.tell({ type: "stop" })).toEqual([
    "2 refused: stopped",
    "close a 1",
    "peer-closed stopped",
    "refuse 3: stopped",
  ]);
  expect(told.delivered("a", 1)).toEqual(["1 delivered"]);
  expect(told.dialled("b", 2)).toEqual(["peer-connected", "close b 2", "peer-closed stopped"]);
  expect([told.send("a"), told.lease("c")]).toEqual([["4 refused: stopped"], ["refuse 5: stopped"]]);
  expect(told.book.stats().counts).toMatchObject({
    delivered: 1,
    refused: 2,
    leasesRefused: 2,
    closed: { stopped: 2 },
  });
});
