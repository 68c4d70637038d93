import { decodeHeader, hex, parseBip34, type ShareHashing, sameBytes, stripWitness } from "@adit/bitcoin";
import type { NewTemplate, SubmitSolution, TemplateSetNewPrevHash } from "@adit/codec";

/** What can be known of a block's fate, as the store keeps it. */
export const blockResults = [
  /** Handed to the template provider, or waiting for it. */
  "pending",
  /** The network builds on it. */
  "accepted",
  /** Another block of its height is built on. */
  "superseded",
  /** The chain went on by several blocks while nobody watched. */
  "unknown",
] as const;

/** One of {@link blockResults}. */
export type BlockResult = (typeof blockResults)[number];

/** A block as the ledger needs it. All byte fields are kept, not copied. */
export interface LedgerBlock {
  /** 32 bytes, internal order. */
  readonly hash: Uint8Array;
  readonly prevHash: Uint8Array;
  readonly height: number | undefined;
  /** 80 bytes. */
  readonly header: Uint8Array;
  /** With its witness. */
  readonly coinbase: Uint8Array;
  /** Template it completes, in the numbering of the provider it was found with; undefined when that was not recorded. */
  readonly templateId: bigint | undefined;
}

/** Everything that bears on the fate of blocks. */
export type LedgerInput =
  /** A miner found one, or one was read from the store with what is known of it. */
  | { readonly type: "found"; readonly block: LedgerBlock; readonly result?: BlockResult }
  | { readonly type: "provider-connected" }
  | { readonly type: "provider-lost" }
  | { readonly type: "template"; readonly template: NewTemplate }
  | { readonly type: "prev-hash"; readonly prevHash: TemplateSetNewPrevHash };

/** What is to be done about a block, in order. */
export type LedgerEffect =
  /** Send this to the connected template provider at once. */
  | { readonly type: "submit"; readonly solution: SubmitSolution; readonly hash: Uint8Array }
  /** Record what became of it. */
  | { readonly type: "settle"; readonly hash: Uint8Array; readonly result: Exclude<BlockResult, "pending"> };

/** Blocks whose fate is followed; the oldest is let go. A reorganisation deeper than these is none of ours. */
const MAX_BLOCKS = 64;
/** Templates of the current connection that a block is compared with. */
const MAX_TEMPLATES = 64;

interface Followed {
  readonly block: LedgerBlock;
  result: BlockResult;
  /**
   * What the provider on the current connection has of it: nothing, a solution under a number that may mean another
   * template there, or one under the number of a template that it completes.
   */
  offered: "not" | "by-old-number" | "by-number";
}

interface Tip {
  readonly hash: Uint8Array;
  readonly height: number | undefined;
}

interface KnownTemplate {
  readonly templateId: bigint;
  readonly merklePath: readonly Uint8Array[];
  readonly height: number | undefined;
}

/**
 * Follows the blocks that were found until the network has decided. The Template Distribution Protocol does not answer
 * a solution, so the next tip does: it is our block, or it is not. A block that is still of use when the provider comes
 * back is submitted again, under the template whose merkle path leads to its merkle root. Without one it is submitted
 * under the number it was found with: a provider may remember what it has sent, though it need not.
 */
export class BlockLedger {
  readonly #hashing: ShareHashing;
  #followed: Followed[] = [];
  #templates: KnownTemplate[] = [];
  #tip: Tip | undefined;
  #connected = false;

  constructor(hashing: ShareHashing) {
    this.#hashing = hashing;
  }

  /** Takes one input and says what to do. */
  handle(input: LedgerInput): readonly LedgerEffect[] {
    switch (input.type) {
      case "found":
        return this.#found(input.block, input.result ?? "pending");
      case "provider-connected":
        this.#connected = true;
        this.#tip = undefined;
        this.#templates = [];
        for (const followed of this.#followed) followed.offered = "not";
        return [];
      case "provider-lost":
        this.#connected = false;
        return [];
      case "template":
        this.#templates = [known(input.template), ...this.#templates].slice(0, MAX_TEMPLATES);
        return this.#resubmit();
      case "prev-hash":
        return this.#newTip(input.prevHash);
      default:
        return input satisfies never;
    }
  }

  #found(block: LedgerBlock, result: BlockResult): readonly LedgerEffect[] {
    const followed: Followed = { block, result, offered: "not" };
    this.#followed = [followed, ...this.#followed].slice(0, MAX_BLOCKS);
    return [...this.#offer(followed), ...this.#settle([followed])];
  }

  #newTip({ prevHash, templateId }: TemplateSetNewPrevHash): readonly LedgerEffect[] {
    const next = this.#templates.find((template) => template.templateId === templateId)?.height;
    this.#tip = { hash: prevHash.slice(), height: next === undefined ? undefined : next - 1 };
    return [...this.#settle(this.#followed), ...this.#resubmit()];
  }

  /** What the tip says of some blocks, and what that says of others. */
  #settle(some: readonly Followed[]): readonly LedgerEffect[] {
    const tip = this.#tip;
    if (tip === undefined) return [];
    const before = this.#followed.map(({ result }) => result);
    for (const followed of some) followed.result = resultAt(followed, tip);
    this.#infer();
    return this.#followed.flatMap(({ block, result }, at) =>
      result === before[at] || result === "pending" ? [] : [{ type: "settle", hash: block.hash, result } as const],
    );
  }

  /**
   * Blocks whose decision nobody saw: one that an accepted block builds on is accepted, and one beside an accepted block
   * of its height is superseded. Newest first, so that one pass goes all the way down.
   */
  #infer(): void {
    const open = this.#followed.filter(({ result }) => result === "pending" || result === "unknown");
    const builtOn = new Set(this.#accepted().map(({ prevHash }) => hex(prevHash)));
    for (const followed of open.toSorted((one, other) => (other.block.height ?? 0) - (one.block.height ?? 0))) {
      if (!builtOn.has(hex(followed.block.hash))) continue;
      followed.result = "accepted";
      builtOn.add(hex(followed.block.prevHash));
    }
    const decided = new Set(this.#accepted().flatMap(({ height }) => height ?? []));
    for (const followed of open) {
      const { block, result } = followed;
      if (result !== "accepted" && block.height !== undefined && decided.has(block.height)) {
        followed.result = "superseded";
      }
    }
  }

  #accepted(): readonly LedgerBlock[] {
    return this.#followed.filter(({ result }) => result === "accepted").map(({ block }) => block);
  }

  /** Offers what was found on the current tip to a provider that may not have it. */
  #resubmit(): readonly LedgerEffect[] {
    const tip = this.#tip;
    if (tip === undefined) return [];
    const open = this.#followed.filter(
      ({ block, result }) => result === "pending" && sameBytes(block.prevHash, tip.hash),
    );
    return open.flatMap((followed) => this.#offer(followed));
  }

  #offer(followed: Followed): readonly LedgerEffect[] {
    const { block, offered } = followed;
    if (!this.#connected || offered === "by-number") return [];
    const templateId = this.#templateOf(block);
    if (templateId !== undefined) {
      followed.offered = "by-number";
      return [submission(block, templateId)];
    }
    if (block.templateId === undefined || offered === "by-old-number") return [];
    followed.offered = "by-old-number";
    return [submission(block, block.templateId)];
  }

  /** The template whose merkle path and height are the block's, if this connection's provider sent one. */
  #templateOf({ header, coinbase, height, templateId }: LedgerBlock): bigint | undefined {
    const { merkleRoot } = decodeHeader(header);
    const stripped = stripWitness(coinbase);
    const fits = (template: KnownTemplate): boolean =>
      template.height === height && sameBytes(this.#hashing.merkleRoot(stripped, template.merklePath), merkleRoot);
    const itsOwn = this.#templates.find((template) => template.templateId === templateId);
    return itsOwn !== undefined && fits(itsOwn) ? templateId : this.#templates.find(fits)?.templateId;
  }
}

/** What a tip says about a block. A tip below its height, or on the same block, leaves it as it was. */
function resultAt({ block, result }: Followed, tip: Tip): BlockResult {
  if (sameBytes(block.hash, tip.hash)) return "accepted";
  if (sameBytes(block.prevHash, tip.hash)) return "pending";
  if (tip.height !== undefined && block.height !== undefined && tip.height <= block.height) {
    return tip.height === block.height ? "superseded" : result;
  }
  return result === "pending" ? "unknown" : result;
}

function submission({ header, coinbase, hash }: LedgerBlock, templateId: bigint): LedgerEffect {
  const { version, ntime, nonce } = decodeHeader(header);
  const solution: SubmitSolution = {
    name: "SubmitSolution",
    templateId,
    version,
    headerTimestamp: ntime,
    headerNonce: nonce,
    coinbaseTx: coinbase,
  };
  return { type: "submit", solution, hash };
}

function known({ templateId, merklePath, coinbasePrefix }: NewTemplate): KnownTemplate {
  return {
    templateId,
    merklePath: merklePath.map((sibling) => sibling.slice()),
    height: parseBip34(coinbasePrefix.slice()),
  };
}
