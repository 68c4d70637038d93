import { DIFFICULTY_1, target, workOf } from "@adit/bitcoin";
import type {
  Books,
  ChainBlock,
  LogBooks,
  MinedShare,
  MinersBooks,
  StoreBooks,
  Sum,
  TranslatorBooks,
} from "./books.ts";

/** What must not be. */
export type ViolationCode =
  /** SQLite finds the store's file damaged. */
  | "store-damaged"
  /** An acknowledged share is not in the store. */
  | "share-missing"
  /** A share is in the store twice. */
  | "share-stored-twice"
  /** One share was acknowledged twice. */
  | "share-acknowledged-twice"
  /** A share is stored with other work than its job's. */
  | "work-differs"
  /** A share is stored with more work than its hash proves. */
  | "work-unproven"
  /** A share is credited to somebody else. */
  | "wrong-owner"
  /** A share in the store that no miner has sent. */
  | "share-from-nowhere"
  /** A share in the store that its miner was told is refused, and not because it was there already. */
  | "refused-yet-stored"
  /** A worker's sum is not that of its shares. */
  | "sums-differ"
  /** The sums told on a channel are not those of its acknowledged shares. */
  | "channel-sum-differs"
  /** An answer that no pool may give. */
  | "wrong-answer"
  /** A block is in the record, in the chain or in the log twice. */
  | "block-twice"
  /** A block of the chain, of the pool's log or of an acknowledged share that the pool has no record of. */
  | "block-unrecorded"
  /** A block that was accepted or connected and is not in the chain. */
  | "block-missing"
  /** A block whose fate is still open when nothing moves any more. */
  | "block-open"
  /** A block taken for superseded though no other has its height, or though it is in the chain. */
  | "block-misjudged"
  /** A solution refused for another reason than that it came too late. */
  | "solution-refused"
  /** The chain does not hang together. */
  | "chain-broken"
  /** No accepted share came in time after a restart, or a role did not start, or did not stop. */
  | "no-return"
  /** Not all kills were made in the time given. */
  | "unfinished";

/** One violation, for people. */
export interface Violation {
  readonly code: ViolationCode;
  readonly detail: string;
}

const WORK_OF_DIFFICULTY_1 = workOf(DIFFICULTY_1);
const NOTHING = "00".repeat(32);
const GENESIS = "0f9188f13cb7b2c71f2a335e3a4fc328bf5beb436012afca590b1a11466e2206";

/** Everything wrong with the books once all roles have stopped and nothing is under way. Empty when they agree. */
export function judge(books: Books): readonly Violation[] {
  return [...judgeShares(books), ...judgeChain(books.chain, books.logs), ...judgeBlocks(books)];
}

/** What can be said of shares at any moment when the store is closed. */
export function judgeShares({ miners, translator, store }: Omit<Books, "chain" | "logs">): readonly Violation[] {
  return [
    ...store.damage.map((detail) => violation("store-damaged", detail)),
    ...missing(miners, translator, store),
    ...repeated(store.shares.map(({ hash }) => hash)).map((hash) => violation("share-stored-twice", hash)),
    ...store.shares.flatMap((share) => credit(share, miners, translator)),
    ...sums(store),
    ...answers(miners, translator),
  ];
}

/** What can be said of the chain at any moment when its file is closed. */
export function judgeChain(chain: readonly ChainBlock[], { connected }: LogBooks): readonly Violation[] {
  const hashes = new Set(chain.map(({ hash }) => hash));
  const broken = chain.filter(({ prevHash }, at) => prevHash !== (chain[at - 1]?.hash ?? GENESIS));
  return [
    ...broken.map(({ hash, height }) => violation("chain-broken", `${hash} at height ${height}`)),
    ...repeated(chain.map(({ hash }) => hash)).map((hash) => violation("block-twice", `${hash} in the chain`)),
    ...connected
      .filter((hash) => !hashes.has(hash))
      .map((hash) => violation("block-missing", `${hash} was connected and is not in the chain`)),
  ];
}

/** What must be true of blocks when nothing is under way any more. */
function judgeBlocks({ miners, translator, store, chain, logs }: Books): readonly Violation[] {
  const inChain = new Set(chain.map(({ hash }) => hash));
  const recorded = new Set(store.blocks.map(({ hash }) => hash));
  const acknowledged = [...miners.shares.values()].filter(
    (share) => share.isBlock && isAcknowledged(share, translator),
  );
  const known: readonly (readonly [string, readonly string[]])[] = [
    ["in the chain", [...inChain]],
    ["in the pool's log", logs.found],
    ["acknowledged by the pool", acknowledged.map(({ hash }) => hash)],
  ];
  return [
    ...repeated(store.blocks.map(({ hash }) => hash)).map((hash) => violation("block-twice", `${hash} in the record`)),
    ...repeated(logs.found).map((hash) => violation("block-twice", `${hash} in the pool's log`)),
    ...known.flatMap(([where, hashes]) =>
      hashes.filter((hash) => !recorded.has(hash)).map((hash) => violation("block-unrecorded", `${hash}, ${where}`)),
    ),
    ...store.blocks.flatMap((block) => fate(block, chain, inChain.has(block.hash))),
    ...logs.refusedSolutions
      .filter((faults) => faults.some((fault) => fault !== "stale-template"))
      .map((faults) => violation("solution-refused", faults.join(", "))),
  ];
}

/** Whether the pool has acknowledged a share. What a translator tells its miners is no word of the pool's. */
export function isAcknowledged({ hash, work, acknowledged }: MinedShare, translator: TranslatorBooks): boolean {
  return work === undefined ? translator.acknowledged.has(hash) : acknowledged > 0;
}

function missing(miners: MinersBooks, translator: TranslatorBooks, store: StoreBooks): readonly Violation[] {
  const stored = new Set(store.shares.map(({ hash }) => hash));
  const direct = [...miners.shares.values()]
    .filter(({ work, acknowledged }) => work !== undefined && acknowledged > 0)
    .map(({ hash, owner }) => ({ hash, owner }));
  const relayed = [...translator.acknowledged].map((hash) => ({ hash, owner: "the translator" }));
  return [...direct, ...relayed]
    .filter(({ hash }) => !stored.has(hash))
    .map(({ hash, owner }) => violation("share-missing", `${hash} of ${owner}`));
}

function credit(
  { hash, owner, work }: StoreBooks["shares"][number],
  miners: MinersBooks,
  translator: TranslatorBooks,
): readonly Violation[] {
  const mined = miners.shares.get(hash);
  if (mined === undefined) return [violation("share-from-nowhere", `${hash} of ${owner}`)];
  const found: Violation[] = [];
  if (mined.owner !== owner) found.push(violation("wrong-owner", `${hash} of ${mined.owner} is credited to ${owner}`));
  if (mined.work !== undefined && mined.work !== work) {
    found.push(violation("work-differs", `${hash}: stored ${work}, its job's ${mined.work}`));
  }
  const proven = hash === NOTHING ? work : workOf(target(BigInt(`0x${hash}`)));
  if (work > proven) found.push(violation("work-unproven", `${hash}: stored ${work}, proven ${proven}`));
  const refused = mined.work === undefined ? translator.refused.get(hash) : mined.refused;
  if (refused !== undefined && refused !== "duplicate-share") {
    found.push(violation("refused-yet-stored", `${hash}: ${refused}`));
  }
  return found;
}

function sums({ shares, workers, minutes }: StoreBooks): readonly Violation[] {
  const single = shares.map(({ owner, worker, work }) => ({ owner, worker, work, shares: 1 }));
  const [fromShares, fromWorkers, fromMinutes] = [single, workers, minutes].map(byWorker);
  const names = new Set([fromShares, fromWorkers, fromMinutes].flatMap((sums) => [...(sums?.keys() ?? [])]));
  return [...names].flatMap((name) => {
    const [all, worker, minute] = [fromShares, fromWorkers, fromMinutes].map((sums) => sums?.get(name) ?? "none");
    if (all === worker && all === minute) return [];
    return [violation("sums-differ", `${name}: its shares ${all}, its sum ${worker}, its minutes ${minute}`)];
  });
}

function byWorker(sums: readonly Sum[]): ReadonlyMap<string, string> {
  const totals = new Map<string, { shares: number; work: bigint }>();
  for (const { owner, worker, shares, work } of sums) {
    const name = `${owner}/${worker}`;
    const before = totals.get(name) ?? { shares: 0, work: 0n };
    totals.set(name, { shares: before.shares + shares, work: before.work + work });
  }
  const all = [...totals].filter(([, { shares }]) => shares > 0);
  return new Map(all.map(([name, { shares, work }]) => [name, `${shares} of work ${work}`]));
}

function answers({ shares, channels, faults }: MinersBooks, translator: TranslatorBooks): readonly Violation[] {
  const twice = [...shares.values()].filter(({ acknowledged }) => acknowledged > 1);
  const wrongSums = channels.filter(({ work, sum }) => work / WORK_OF_DIFFICULTY_1 !== sum);
  return [
    ...twice.map(({ hash, owner }) => violation("share-acknowledged-twice", `${hash} of ${owner}`)),
    ...wrongSums.map(({ owner, work, sum }) =>
      violation("channel-sum-differs", `${owner}: told ${sum}, and its work is ${work}`),
    ),
    ...[...faults].map(([what, count]) => violation("wrong-answer", `${what} (${count} times)`)),
    ...translator.faults.map((detail) => violation("wrong-answer", detail)),
  ];
}

function fate(
  { hash, height, result }: StoreBooks["blocks"][number],
  chain: readonly ChainBlock[],
  isInChain: boolean,
): readonly Violation[] {
  const name = `${hash} at height ${height}`;
  const isBeaten = chain.some((block) => block.height === height);
  switch (result) {
    case "accepted":
      return isInChain ? [] : [violation("block-missing", `${name} was accepted and is not in the chain`)];
    case "superseded":
      if (isInChain) return [violation("block-misjudged", `${name} is in the chain`)];
      return isBeaten ? [] : [violation("block-misjudged", `${name} has no rival`)];
    // The pool was away when it was decided. That is allowed only for a block that is not lost.
    case "unknown":
      if (isInChain || isBeaten) return [];
      return [violation("block-missing", `${name} is of unknown fate, without a rival and not in the chain`)];
    default:
      return [violation("block-open", `${name} is ${result}`)];
  }
}

function repeated(hashes: readonly string[]): readonly string[] {
  const seen = new Set<string>();
  return hashes.filter((hash) => seen.size === seen.add(hash).size);
}

function violation(code: ViolationCode, detail: string): Violation {
  return { code, detail };
}
