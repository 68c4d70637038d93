import { type CoinbaseParts, type Hash, MAX_BLOCK_WEIGHT, merklePath, type ShareHashing } from "@adit/bitcoin";
import type { DeclareMiningJob } from "@adit/codec";
import type { NoiseCrypto } from "@adit/noise";
import { type JobCommitment, merklePathDigest, tokenDigest } from "../token.ts";
import { type DeclaredJob, proposalOf } from "./declared-job.ts";
import type { ConnectionId, DeclarationId } from "./effects.ts";
import { type DeclarationFault, fault } from "./fault.ts";
import type { SoundDeclaration } from "./inspect-declaration.ts";
import { type KnownTransaction, providedTransaction } from "./known-transaction.ts";
import type { DeclaratorTip } from "./tip.ts";
import type { AllocatedToken } from "./token-desk.ts";

/** Where a declaration stands. Times are Unix milliseconds. */
export type DeclarationPhase =
  /** The node has not seen the block it builds on. */
  | { readonly name: "held"; readonly since: number }
  | { readonly name: "looking-up" }
  /** The client was asked for the transactions at these positions. */
  | { readonly name: "asked"; readonly since: number; readonly positions: readonly number[] }
  /** A block on this tip is with the node. */
  | { readonly name: "checking"; readonly tip: DeclaratorTip };

/** Who declares what, with which token. */
export interface DeclarationParts {
  readonly id: DeclarationId;
  readonly connection: ConnectionId;
  readonly message: Pick<DeclareMiningJob, "requestId" | "version">;
  readonly token: AllocatedToken;
  readonly sound: SoundDeclaration;
  /** Unix milliseconds. */
  readonly receivedAt: number;
}

/** One declaration from its message to its answer. */
export class Declaration {
  readonly id: DeclarationId;
  readonly connection: ConnectionId;
  readonly requestId: number;
  readonly token: AllocatedToken;
  readonly receivedAt: number;
  readonly coinbase: SoundDeclaration["coinbase"];
  readonly wtxids: readonly Uint8Array[];
  /** Where it stands. */
  phase: DeclarationPhase;
  /** How often it was given to the node. */
  checks = 0;
  readonly #version: number;
  #transactions: readonly (KnownTransaction | undefined)[] | undefined;
  #made: BlockContent | undefined;

  constructor({ id, connection, message, token, sound, receivedAt }: DeclarationParts) {
    this.id = id;
    this.connection = connection;
    this.requestId = message.requestId;
    this.#version = message.version;
    this.token = token;
    this.coinbase = sound.coinbase;
    this.wtxids = sound.wtxids;
    this.receivedAt = receivedAt;
    this.phase = { name: "held", since: receivedAt };
  }

  /** Its transactions were looked up, or it has none. */
  get isLookedUp(): boolean {
    return this.#transactions !== undefined || this.wtxids.length === 0;
  }

  /** Positions of the transactions that are not known; all of them before the look-up. */
  get missing(): readonly number[] {
    return this.wtxids.flatMap((_, at) => (this.#transactions?.[at] === undefined ? [at] : []));
  }

  /** Takes what the look-up found; undefined where it found nothing. */
  lookedUp(found: readonly (KnownTransaction | undefined)[]): void {
    this.#transactions = this.wtxids.map((_, at) => found[at]);
  }

  /** Takes the transactions that the client was asked for; a fault when they are anything else, and then none is kept. */
  provide(positions: readonly number[], list: readonly Uint8Array[]): DeclarationFault | undefined {
    if (list.length !== positions.length) {
      return fault("invalid-job", `${positions.length} transactions were asked for and ${list.length} came`);
    }
    const transactions = [...(this.#transactions ?? [])];
    for (const [at, position] of positions.entries()) {
      const provided = providedTransaction(list[at] ?? new Uint8Array(), this.wtxids[position] ?? new Uint8Array());
      if (provided === undefined) return fault("invalid-job", `what came is not transaction ${position} of wtxid_list`);
      transactions[position] = provided;
    }
    this.#transactions = transactions;
    return undefined;
  }

  /** A fault when its transactions have more bytes than a block may weigh, which no node has to be asked for. */
  get sizeFault(): DeclarationFault | undefined {
    const size = this.#content.transactions.reduce((sum, { bytes }) => sum + bytes.length, 0);
    return size > MAX_BLOCK_WEIGHT ? fault("invalid-job", `${size} bytes of transactions fit in no block`) : undefined;
  }

  /** The block without work for the node to check. `now` in Unix milliseconds. */
  proposal(tip: DeclaratorTip, { now, hashing }: { readonly now: number; readonly hashing: ShareHashing }): Uint8Array {
    const ntime = Math.max(tip.minNtime, Math.floor(now / 1000));
    return proposalOf({ ...this.#content, ...tip }, { version: this.#version, ntime, hashing });
  }

  /** What its new token commits to. */
  commitment({ prevHash, nbits, minNtime }: DeclaratorTip, crypto: Pick<NoiseCrypto, "sha256">): JobCommitment {
    const { txVersion, inputSequence, locktime, scriptSigStart, countedOutputs, parts } = this.coinbase;
    return {
      version: this.#version,
      coinbaseTxVersion: txVersion,
      coinbaseTxInputNSequence: inputSequence,
      coinbaseTxLocktime: locktime,
      nbits,
      minNtime,
      prevHash,
      coinbasePrefix: tokenDigest(crypto, scriptSigStart),
      coinbaseTxOutputs: tokenDigest(crypto, countedOutputs),
      merklePath: merklePathDigest(crypto, this.#content.merklePath),
      extranonceSize: parts.extranonceSize,
    };
  }

  /** The job it becomes, under its new token. */
  job({ prevHash, nbits, height }: DeclaratorTip, tokenId: string): DeclaredJob {
    const { connection } = this;
    const { userIdentifier } = this.token;
    return { ...this.#content, tokenId, connection, userIdentifier, height, prevHash, nbits };
  }

  /** What the block is made of. Once no transaction is missing, worked out once: the merkle path costs a hash for each. */
  get #content(): BlockContent {
    if (this.#made?.transactions.length === this.wtxids.length) return this.#made;
    const transactions = (this.#transactions ?? []).filter((transaction) => transaction !== undefined);
    const { parts, reservedValue } = this.coinbase;
    this.#made = { parts, reservedValue, transactions, merklePath: merklePath(transactions.map(({ txid }) => txid)) };
    return this.#made;
  }
}

/** A block's coinbase and transactions. */
interface BlockContent {
  readonly parts: CoinbaseParts;
  readonly reservedValue: Uint8Array | undefined;
  readonly transactions: readonly KnownTransaction[];
  readonly merklePath: readonly Hash[];
}
