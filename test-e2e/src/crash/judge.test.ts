import { DIFFICULTY_1, hex, target, targetToBytes, workOf } from "@adit/bitcoin";
import { describe, expect, test } from "vitest";
import type { Books, MinedShare } from "./books.ts";
import { judge, judgeChain, judgeShares, type ViolationCode } from "./judge.ts";

const GENESIS = "0f9188f13cb7b2c71f2a335e3a4fc328bf5beb436012afca590b1a11466e2206";
/** A hash that proves some 2^40 hashes of work, told apart by its end. */
const hashOf = (number: number): string => hex(targetToBytes(target((1n << 216n) + BigInt(number))).toReversed());
const WORK = 2n ** 33n;
const WORK_OF_DIFFICULTY_1 = workOf(DIFFICULTY_1);

type Draft<T> =
  T extends ReadonlyMap<infer K, infer V>
    ? Map<K, Draft<V>>
    : T extends ReadonlySet<infer V>
      ? Set<V>
      : T extends readonly (infer V)[]
        ? Draft<V>[]
        : T extends object
          ? { -readonly [K in keyof T]: Draft<T[K]> }
          : T;

function mined(number: number, change: Partial<MinedShare> = {}): [string, MinedShare] {
  const hash = hashOf(number);
  const share = { hash, owner: "direct", work: WORK, isBlock: false, acknowledged: 1, refused: undefined };
  return [hash, { ...share, ...change }];
}

/**
 * Books that agree. Direct shares: 1 to 3 acknowledged, of which 3 is block 2 of the chain; 4 in doubt and stored, 5 in
 * doubt and not, 6 refused. Behind the translator: 7 acknowledged, 8 in doubt and stored. 9 is a superseded block.
 */
function agreeing(): Draft<Books> {
  const relayed = { owner: "translator", work: undefined };
  const stored = [1, 2, 3, 4, 7, 8, 9].map((number) => {
    const owner = number === 7 || number === 8 ? "translator" : "direct";
    return { hash: hashOf(number), owner, worker: owner === "direct" ? "" : "w", work: WORK };
  });
  const sums = [
    { owner: "direct", worker: "", shares: 5, work: 5n * WORK },
    { owner: "translator", worker: "w", shares: 2, work: 2n * WORK },
  ];
  return {
    miners: {
      shares: new Map<string, Draft<MinedShare>>([
        mined(1),
        mined(2),
        mined(3, { isBlock: true }),
        mined(4, { acknowledged: 0 }),
        mined(5, { acknowledged: 0 }),
        mined(6, { acknowledged: 0, refused: "stale-share" }),
        mined(7, relayed),
        mined(8, relayed),
        mined(9, { acknowledged: 0, isBlock: true }),
      ]),
      channels: [{ owner: "direct", work: 3n * WORK, sum: (3n * WORK) / WORK_OF_DIFFICULTY_1 }],
      faults: new Map<string, number>(),
    },
    translator: {
      acknowledged: new Set([hashOf(7)]),
      refused: new Map<string, string>(),
      inDoubt: new Set([hashOf(8)]),
      faults: [],
    },
    store: {
      damage: [],
      shares: stored,
      workers: structuredClone(sums),
      minutes: [
        ...structuredClone(sums).map((sum) => ({ ...sum, shares: sum.shares - 1, work: sum.work - WORK })),
        ...structuredClone(sums).map((sum) => ({ ...sum, shares: 1, work: WORK })),
      ],
      blocks: [
        { hash: hashOf(9), height: 2, result: "superseded" },
        { hash: hashOf(3), height: 2, result: "accepted" },
        { hash: hashOf(100), height: 1, result: "unknown" },
      ],
    },
    chain: [
      { hash: hashOf(100), prevHash: GENESIS, height: 1 },
      { hash: hashOf(3), prevHash: hashOf(100), height: 2 },
    ],
    logs: {
      found: [hashOf(100), hashOf(3), hashOf(9)],
      connected: [hashOf(100)],
      refusedSolutions: [["stale-template"]],
    },
  };
}

const first = <T>(values: readonly T[]): T => {
  const [value] = values;
  if (value === undefined) throw new Error("nothing to doctor");
  return value;
};

test("books that agree are not objected to, shares in doubt and refused ones among them", () => {
  expect(judge(agreeing())).toEqual([]);
});

const doctored: readonly (readonly [string, ViolationCode, (books: Draft<Books>) => void])[] = [
  ["damage that SQLite finds", "store-damaged", ({ store }) => store.damage.push("row 3 missing from index share_at")],
  ["an acknowledged share that is gone, with its sums", "share-missing", (books) => forget(books, 1)],
  ["a share acknowledged to the translator that is gone", "share-missing", (books) => forget(books, 7)],
  ["a share stored twice, sums and all", "share-stored-twice", (books) => storeAgain(books, 2)],
  [
    "a share acknowledged twice",
    "share-acknowledged-twice",
    ({ miners }) => {
      const share = miners.shares.get(hashOf(2));
      if (share !== undefined) share.acknowledged = 2;
    },
  ],
  ["less work than acknowledged, in the sums too", "work-differs", (books) => reweigh(books, WORK - 1n)],
  ["more work than acknowledged, in the sums too", "work-differs", (books) => reweigh(books, WORK + 1n)],
  [
    "more work than a hash proves",
    "work-unproven",
    (books) => {
      books.miners.shares.set(hashOf(1), { ...mined(1)[1], work: 2n ** 41n });
      reweigh(books, 2n ** 41n);
    },
  ],
  [
    "a share credited to another",
    "wrong-owner",
    ({ miners }) => miners.shares.set(hashOf(1), mined(1, { owner: "other" })[1]),
  ],
  ["a share that nobody sent", "share-from-nowhere", ({ miners }) => miners.shares.delete(hashOf(4))],
  [
    "a stored share whose miner was told it is refused",
    "refused-yet-stored",
    ({ miners }) => miners.shares.set(hashOf(4), mined(4, { acknowledged: 0, refused: "share-not-recorded" })[1]),
  ],
  [
    "a stored share whose translator was told it is refused",
    "refused-yet-stored",
    ({ translator }) => translator.refused.set(hashOf(8), "stale-share"),
  ],
  ["a worker's count that is one too high", "sums-differ", ({ store }) => (first(store.workers).shares += 1)],
  ["a worker's work that is one too low", "sums-differ", ({ store }) => (first(store.workers).work -= 1n)],
  ["a minute that counts a share once more", "sums-differ", ({ store }) => (first(store.minutes).shares += 1)],
  [
    "a worker without shares",
    "sums-differ",
    ({ store }) => store.workers.push({ ...first(store.workers), worker: "x" }),
  ],
  [
    "a share that is in no sum",
    "sums-differ",
    ({ store, miners }) => {
      miners.shares.set(...mined(5, { acknowledged: 0 }));
      store.shares.push({ ...first(store.shares), hash: hashOf(5) });
    },
  ],
  ["a channel told too much", "channel-sum-differs", ({ miners }) => (first(miners.channels).sum += 1n)],
  ["a channel told too little", "channel-sum-differs", ({ miners }) => (first(miners.channels).sum -= 1n)],
  ["an answer to no question", "wrong-answer", ({ miners }) => miners.faults.set("more shares than were open", 1)],
  [
    "an answer to no question of the translator's",
    "wrong-answer",
    ({ translator }) => translator.faults.push("4 of 3"),
  ],
  ["a block recorded twice", "block-twice", ({ store }) => store.blocks.push({ ...first(store.blocks) })],
  ["a block found twice", "block-twice", ({ logs }) => logs.found.push(hashOf(3))],
  ["a block in the chain twice", "block-twice", ({ chain }) => chain.push({ ...first(chain), prevHash: hashOf(3) })],
  ["a block of the chain without a record", "block-unrecorded", (books) => unrecord(books, 100, "chain")],
  ["a block of the log without a record", "block-unrecorded", (books) => unrecord(books, 9, "log")],
  [
    "an acknowledged share that is a block without a record",
    "block-unrecorded",
    ({ miners }) => miners.shares.set(hashOf(1), mined(1, { isBlock: true })[1]),
  ],
  ["an accepted block that is not in the chain", "block-missing", (books) => (fateOf(books, 9).result = "accepted")],
  [
    "a block of unknown fate that is neither in the chain nor beaten by one of its height",
    "block-missing",
    (books) => Object.assign(fateOf(books, 9), { result: "unknown", height: 3 }),
  ],
  ["a connected block that is not in the chain", "block-missing", ({ logs }) => logs.connected.push(hashOf(9))],
  ["a block that is still pending", "block-open", (books) => (fateOf(books, 9).result = "pending")],
  ["a superseded block that is in the chain", "block-misjudged", (books) => (fateOf(books, 3).result = "superseded")],
  ["a superseded block without a rival", "block-misjudged", (books) => (fateOf(books, 9).height = 3)],
  [
    "a solution that was refused because its template was forgotten",
    "solution-refused",
    ({ logs }) => logs.refusedSolutions.push(["unknown-template"]),
  ],
  [
    "a chain that skips a block",
    "chain-broken",
    ({ chain }) => {
      for (const block of chain) if (block.height === 2) block.prevHash = hashOf(8);
    },
  ],
];

describe("the judge finds", () => {
  test.each(doctored)("%s", (_what, code, doctor) => {
    const books = agreeing();
    doctor(books);
    expect(new Set(judge(books).map((violation) => violation.code))).toEqual(new Set([code]));
  });

  test("no block of a miner behind the translator that the pool has not acknowledged", () => {
    const books = agreeing();
    const relayed = { owner: "translator", work: undefined, isBlock: true };
    books.miners.shares.set(hashOf(8), mined(8, relayed)[1]);
    expect(judge(books)).toEqual([]);
    books.miners.shares.set(hashOf(7), mined(7, relayed)[1]);
    expect(judge(books).map(({ code }) => code)).toEqual(["block-unrecorded"]);
  });

  test("what is wrong with shares and with the chain in the middle of a run as well", () => {
    const books = agreeing();
    books.chain.pop();
    books.logs.connected.push(hashOf(3));
    forget(books, 1);
    expect(judgeShares(books).map(({ code }) => code)).toEqual(["share-missing"]);
    expect(judgeChain(books.chain, books.logs).map(({ code }) => code)).toEqual(["block-missing"]);
  });
});

/** Takes a share out of the store as if it had never been in it. */
function forget({ store }: Draft<Books>, number: number): void {
  const gone = store.shares.find(({ hash }) => hash === hashOf(number));
  store.shares = store.shares.filter((share) => share !== gone);
  for (const sums of [store.workers, store.minutes]) {
    const sum = sums.find(({ owner, shares }) => owner === gone?.owner && shares > 0);
    if (sum === undefined) continue;
    sum.shares -= 1;
    sum.work -= WORK;
  }
}

function storeAgain({ store }: Draft<Books>, number: number): void {
  store.shares.push(...store.shares.filter(({ hash }) => hash === hashOf(number)));
  for (const sums of [store.workers, store.minutes]) {
    first(sums).shares += 1;
    first(sums).work += WORK;
  }
}

/** Gives the first share other work, as if it had been counted so. */
function reweigh({ store }: Draft<Books>, work: bigint): void {
  for (const { work: _, ...rest } of [first(store.shares)]) store.shares[0] = { ...rest, work };
  for (const sums of [store.workers, store.minutes]) first(sums).work += work - WORK;
}

function fateOf({ store }: Draft<Books>, number: number): Draft<Books>["store"]["blocks"][number] {
  return first(store.blocks.filter(({ hash }) => hash === hashOf(number)));
}

function unrecord({ store, logs }: Draft<Books>, number: number, knownBy: "chain" | "log"): void {
  store.blocks = store.blocks.filter(({ hash }) => hash !== hashOf(number));
  if (knownBy === "chain") logs.found = logs.found.filter((hash) => hash !== hashOf(number));
}
