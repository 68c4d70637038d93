import { decodeBlock, displayHash, hex, txid } from "@adit/bitcoin";
import { type CoinKind, kindOf } from "./anyone-can-spend.ts";
import { blockAt } from "./chain-view.ts";
import { minePlain } from "./mine-plain.ts";
import { type Coin, type Spend, spend } from "./spend.ts";
import type { TestNode } from "./test-node.ts";

/** How a batch of transactions is made. */
export interface BatchOptions {
  /** Satoshi a virtual byte, at least 1. */
  readonly feeRate?: number;
  /** Kinds of coin to spend, in turn; both by default. */
  readonly kinds?: readonly CoinKind[];
}

const MATURITY = 100;
const COINBASES = 40;
const COINS_PER_SPLIT = 500;
const FEE_RATE = 2;
const EITHER: readonly CoinKind[] = ["legacy", "segwit"];
/** Bytes that make a transaction as heavy as a fortieth of a block: no template has a gap that is larger. */
const BIG_PADDING = 24_000;

/**
 * Fills the mempool of a node with transactions that need no key. Of the node it uses only the chain and
 * `sendrawtransaction`. What its transactions pay out is spent by nobody: what it spends next never depends on them.
 */
export class Wallet {
  readonly #node: TestNode;
  readonly #coins: Readonly<Record<CoinKind, Coin[]>> = { legacy: [], segwit: [] };

  private constructor(node: TestNode) {
    this.#node = node;
  }

  /** A wallet of coinbases of the node's chain that are mature, unspent and anyone's, the oldest first. */
  static async open(node: TestNode): Promise<Wallet> {
    const wallet = new Wallet(node);
    const newest = (await node.rpc<number>("getblockcount")) - MATURITY;
    for (let height = 1, found = 0; height <= newest && found < COINBASES; height += 1) {
      const coins = await coinbaseCoins(node, height);
      wallet.#keep(coins);
      found += coins.length;
    }
    return wallet;
  }

  /** Coins left to spend. */
  count(kind: CoinKind): number {
    return this.#coins[kind].length;
  }

  /** Has at least so many coins of each kind to spend, for which it mines a block where it must. */
  async provide(count: number): Promise<void> {
    const coins: Coin[] = [];
    let missing = (count - Math.min(...EITHER.map((kind) => this.count(kind)))) * EITHER.length;
    for (; missing > 0; missing -= COINS_PER_SPLIT) {
      const to = Array.from({ length: Math.min(missing, COINS_PER_SPLIT) }, (_, at) => inTurn(EITHER, at));
      const split = spend({ from: [this.#takeLargest()], to, feeRate: FEE_RATE });
      await this.send(split);
      coins.push(...split.coins);
    }
    if (coins.length === 0) return;
    await minePlain(this.#node, 1);
    this.#keep(coins);
  }

  /** Sends any transaction. Rejects with RpcError when the node does not take it. */
  async send(transaction: Spend): Promise<void> {
    const expected = displayHash(transaction.txid);
    const id = await this.#node.rpc<string>("sendrawtransaction", [hex(transaction.bytes)]);
    if (id !== expected) throw new Error(`${this.#node.kind} takes transaction ${expected} for ${id}`);
  }

  /** Sends transactions of one input and one output that do not depend on each other. */
  async sendMany(count: number, { feeRate = FEE_RATE, kinds = EITHER }: BatchOptions = {}): Promise<readonly Spend[]> {
    const spends: Spend[] = [];
    while (spends.length < count) {
      const kind = inTurn(kinds, spends.length);
      spends.push(await this.#sendOne({ from: [this.#take(kind)], to: [kind], feeRate }));
    }
    return spends;
  }

  /** Sends transactions each of which spends the one before. Nodes take chains of at most 25. */
  async sendChain(
    length: number,
    { feeRate = FEE_RATE, kinds = EITHER }: BatchOptions = {},
  ): Promise<readonly Spend[]> {
    const spends: Spend[] = [];
    let from: readonly Coin[] = [this.#take(inTurn(kinds, 0))];
    while (spends.length < length) {
      const next = await this.#sendOne({ from, to: [inTurn(kinds, spends.length + 1)], feeRate });
      spends.push(next);
      from = next.coins;
    }
    return spends;
  }

  /** Sends transactions of a fortieth of a block each, that together have at least a weight in units of BIP141. */
  async sendWeight(
    weight: number,
    { feeRate = FEE_RATE, kinds = EITHER }: BatchOptions = {},
  ): Promise<readonly Spend[]> {
    const spends: Spend[] = [];
    for (let missing = weight; missing > 0; missing -= spends.at(-1)?.weight ?? 0) {
      const kind = inTurn(kinds, spends.length);
      spends.push(await this.#sendOne({ from: [this.#take(kind)], to: [kind], feeRate, padding: BIG_PADDING }));
    }
    return spends;
  }

  async #sendOne(options: Parameters<typeof spend>[0]): Promise<Spend> {
    const transaction = spend(options);
    await this.send(transaction);
    return transaction;
  }

  #keep(coins: readonly Coin[]): void {
    for (const coin of coins) this.#coins[coin.kind].push(coin);
  }

  #take(kind: CoinKind): Coin {
    const coin = this.#coins[kind].shift();
    if (coin === undefined) throw new Error(`the wallet has no ${kind} coin left: provide more beforehand`);
    return coin;
  }

  #takeLargest(): Coin {
    const [first, ...others] = EITHER.flatMap((kind) => this.#coins[kind]);
    if (first === undefined) throw new Error("the wallet has no coin to split");
    const largest = others.reduce((best, coin) => (coin.value > best.value ? coin : best), first);
    const coins = this.#coins[largest.kind];
    coins.splice(coins.indexOf(largest), 1);
    return largest;
  }
}

function inTurn(kinds: readonly CoinKind[], at: number): CoinKind {
  const kind = kinds[at % kinds.length];
  if (kind === undefined) throw new RangeError("a batch has at least one kind of coin");
  return kind;
}

/** Outputs of a coinbase that anyone can still spend. */
async function coinbaseCoins(node: TestNode, height: number): Promise<readonly Coin[]> {
  const [coinbase] = decodeBlock(await blockAt(node, height)).transactions;
  if (coinbase === undefined) return [];
  const id = txid(coinbase);
  const coins: Coin[] = [];
  for (const [index, { value, script }] of coinbase.outputs.entries()) {
    const kind = kindOf(script);
    const isUnspent = kind !== undefined && (await node.rpc("gettxout", [displayHash(id), index, true])) !== null;
    if (isUnspent) coins.push({ txid: id, index, value, kind });
  }
  return coins;
}
