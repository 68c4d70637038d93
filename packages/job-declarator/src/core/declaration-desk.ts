import { hex, type Network, type ShareHashing } from "@adit/bitcoin";
import type { DeclareMiningJob, ProvideMissingTransactionsSuccess } from "@adit/codec";
import type { NoiseCrypto } from "@adit/noise";
import type { TokenBucket } from "@adit/token-bucket";
import type { TokenMinter } from "../token-minter.ts";
import { finalityFault } from "./coinbase-checks.ts";
import { Declaration } from "./declaration.ts";
import type { DeclaredJobs } from "./declared-jobs.ts";
import type { CheckVerdict, ConnectionId, DeclarationId, DeclaratorEffect } from "./effects.ts";
import { type DeclarationFault, fault } from "./fault.ts";
import { inspectDeclaration, MAX_TRANSACTIONS } from "./inspect-declaration.ts";
import type { KnownTransaction } from "./known-transaction.ts";
import type { DeclaratorLimits } from "./limits.ts";
import { structuralFault } from "./structural-check.ts";
import type { DeclaratorTip } from "./tip.ts";
import type { TokenDesk } from "./token-desk.ts";

/** What a {@link DeclarationDesk} works with. */
export interface DeclarationDeskOptions {
  readonly limits: DeclaratorLimits;
  /** Output script that every declared coinbase has to pay. */
  readonly payoutScript: Uint8Array;
  readonly network: Network;
  readonly crypto: Pick<NoiseCrypto, "sha256">;
  readonly hashing: ShareHashing;
  readonly minter: TokenMinter;
  /** Where good jobs go. */
  readonly jobs: DeclaredJobs;
}

/** Whose declaration it is. */
export interface Declarer {
  readonly connection: ConnectionId;
  readonly tokens: TokenDesk;
  /** How many transactions of it may be looked at. */
  readonly transactions: TokenBucket;
}

type Effects = readonly DeclaratorEffect[];

/** A declaration may build on a block that the node sees a moment later, and on one after that. */
const MAX_HEIGHTS_AHEAD = 2;
/** A block that was checked on a tip that has gone is checked once more. */
const MAX_CHECKS = 2;
/** Bytes of a transaction whose check costs as much as that of one more name of a transaction. */
const LEAST_BYTES = 240;
const TOO_MANY = fault("internal-error", "the server has too many declarations under way; try again later");

/** The declarations that are not answered yet: checked, completed, given to the node, and answered once each. */
export class DeclarationDesk {
  readonly #options: DeclarationDeskOptions;
  readonly #pending = new Map<DeclarationId, Declaration>();
  readonly #tokens = new Map<ConnectionId, TokenDesk>();
  #lastId = 0;
  #tip: DeclaratorTip | undefined;

  constructor(options: DeclarationDeskOptions) {
    this.#options = options;
  }

  /** Declarations that are not answered. */
  get size(): number {
    return this.#pending.size;
  }

  /** What the next block builds on; undefined before it is known. */
  get tip(): DeclaratorTip | undefined {
    return this.#tip;
  }

  /** How many of them are a connection's. */
  pendingOf(connection: ConnectionId): number {
    return [...this.#pending.values()].filter((declaration) => declaration.connection === connection).length;
  }

  /** Takes a declaration. */
  begin(declarer: Declarer, message: DeclareMiningJob, now: number): Effects {
    const { connection, tokens } = declarer;
    const { requestId } = message;
    const token = tokens.find(message.miningJobToken, now);
    if (token === undefined) {
      const detail = "the token is none of this connection, or expired, or used; ask for another";
      return refusal({ connection, requestId }, fault("invalid-mining-job-token", detail));
    }
    const sound = this.#excess(declarer, message, now) ?? inspectDeclaration(message, this.#options.payoutScript);
    const room = "errorCode" in sound ? [] : this.#makeRoom();
    const accepted = this.size < this.#options.limits.maxPending ? sound : TOO_MANY;
    if ("errorCode" in accepted) {
      tokens.spend(token);
      return [...room, ...refusal({ connection, requestId }, accepted)];
    }
    token.inUse = true;
    this.#lastId += 1;
    const parts = { id: this.#lastId, connection, message, token, sound: accepted, receivedAt: now };
    const declaration = new Declaration(parts);
    this.#pending.set(declaration.id, declaration);
    this.#tokens.set(connection, tokens);
    return [...room, ...this.#advance(declaration, now)];
  }

  /** The next block builds on another one. */
  onTip(tip: DeclaratorTip, now: number): Effects {
    this.#tip = tip;
    const isAffected = ({ phase }: Declaration): boolean => phase.name === "held" || phase.name === "asked";
    return [...this.#pending.values()].filter(isAffected).flatMap((declaration) => this.#onNewTip(declaration, now));
  }

  /** The answer to `look-up`. */
  lookedUp(id: DeclarationId, transactions: readonly (KnownTransaction | undefined)[], now: number): Effects {
    const declaration = this.#pending.get(id);
    if (declaration?.phase.name !== "looking-up") return [];
    declaration.lookedUp(transactions);
    return this.#advance(declaration, now);
  }

  /** The client sends transactions that it was asked for. */
  provided(
    { connection, transactions }: Declarer,
    { requestId, transactionList }: ProvideMissingTransactionsSuccess,
    now: number,
  ): Effects {
    const declaration = this.#find(connection, requestId);
    if (declaration?.phase.name !== "asked") {
      return [{ type: "ignored", connection, message: "ProvideMissingTransactions.Success" }];
    }
    const bytes = transactionList.reduce((sum, { length }) => sum + length, 0);
    if (!transactions.take(now, Math.ceil(bytes / LEAST_BYTES))) return this.#refuse(declaration, this.#tooFast);
    const wrong = declaration.provide(declaration.phase.positions, transactionList);
    return wrong === undefined ? this.#advance(declaration, now) : this.#refuse(declaration, wrong);
  }

  /** The answer to `check`. */
  checked(id: DeclarationId, verdict: CheckVerdict, now: number): Effects {
    const declaration = this.#pending.get(id);
    if (declaration?.phase.name !== "checking") return [];
    const { tip } = declaration.phase;
    switch (verdict.kind) {
      case "valid":
        return isSameTip(tip, this.#tip) ? this.#accept(declaration, tip, now) : this.#checkAgain(declaration, now);
      case "inconclusive":
        return isSameTip(tip, this.#tip) ? this.#awaitTip(declaration, now) : this.#checkAgain(declaration, now);
      case "invalid":
        return this.#refuse(declaration, fault("invalid-job", `a node says: ${verdict.reason}`));
      case "failed":
        return this.#refuse(declaration, fault("internal-error", "no node could check the block; try again later"));
      case "no-node":
        return this.#checkStructure(declaration, tip, now);
      default:
        return verdict satisfies never;
    }
  }

  /** Time passes: what has waited too long is refused. */
  tick(now: number): Effects {
    return [...this.#pending.values()].flatMap((declaration) => {
      const late = this.#lateness(declaration, now);
      return late === undefined ? [] : this.#refuse(declaration, late);
    });
  }

  /** A connection has ended: nothing of it is left. */
  drop(connection: ConnectionId): void {
    this.#tokens.delete(connection);
    for (const declaration of this.#pending.values()) {
      if (declaration.connection === connection) this.#pending.delete(declaration.id);
    }
  }

  #excess(
    { connection, transactions }: Declarer,
    { requestId, wtxidList }: DeclareMiningJob,
    now: number,
  ): DeclarationFault | undefined {
    const { maxPendingPerConnection } = this.#options.limits;
    if (this.#find(connection, requestId) !== undefined) {
      return fault("invalid-job", `request_id ${requestId} is that of a declaration that is not answered yet`);
    }
    if (this.pendingOf(connection) >= maxPendingPerConnection) {
      return fault("internal-error", `${maxPendingPerConnection} declarations of this connection are not answered yet`);
    }
    // More than a block holds are not looked at.
    const isCheap = wtxidList.length > MAX_TRANSACTIONS;
    return isCheap || transactions.take(now, wtxidList.length) ? undefined : this.#tooFast;
  }

  get #tooFast(): DeclarationFault {
    const { maxTransactionsPerMinute } = this.#options.limits;
    return fault("internal-error", `more than ${maxTransactionsPerMinute} transactions a minute; declare less often`);
  }

  /**
   * Where there is no room for another, the one goes that has waited longest for its client's transactions or for a block that
   * only the client has seen. One that is soon complete loses nothing by many that never will be.
   */
  #makeRoom(): Effects {
    if (this.size < this.#options.limits.maxPending) return [];
    let longest: { readonly declaration: Declaration; readonly since: number } | undefined;
    for (const declaration of this.#pending.values()) {
      const { phase } = declaration;
      if (phase.name !== "asked" && phase.name !== "held") continue;
      if (longest === undefined || phase.since < longest.since) longest = { declaration, since: phase.since };
    }
    return longest === undefined ? [] : this.#refuse(longest.declaration, TOO_MANY);
  }

  #find(connection: ConnectionId, requestId: number): Declaration | undefined {
    return [...this.#pending.values()].find((one) => one.connection === connection && one.requestId === requestId);
  }

  /** Takes a declaration as far as it goes without waiting. */
  #advance(declaration: Declaration, now: number): Effects {
    const misfit = this.#misfit(declaration);
    if (misfit === "held") return this.#awaitTip(declaration, now);
    if (misfit !== undefined) return this.#refuse(declaration, misfit);
    const { id, connection, requestId, wtxids } = declaration;
    if (!declaration.isLookedUp) {
      declaration.phase = { name: "looking-up" };
      return [{ type: "look-up", declaration: id, wtxids }];
    }
    const positions = declaration.missing;
    if (positions.length === 0) return this.#check(declaration, now);
    declaration.phase = { name: "asked", since: now, positions };
    const message = { name: "ProvideMissingTransactions", requestId, unknownTxPositionList: [...positions] } as const;
    return [
      { type: "send", connection, message },
      { type: "missing-asked", connection, requestId, transactions: positions.length },
    ];
  }

  /** Whether the declaration is one for the next block: `held` when it may be for one that the node is about to need. */
  #misfit({ coinbase }: Declaration): DeclarationFault | "held" | undefined {
    if (this.#tip === undefined) return "held";
    const { height } = this.#tip;
    const ahead = coinbase.height - height;
    if (ahead === 0) return finalityFault(coinbase, this.#tip);
    if (ahead > 0 && ahead <= MAX_HEIGHTS_AHEAD) return "held";
    const detail = `the next block has height ${height}, the coinbase says ${coinbase.height}`;
    return fault(ahead < 0 ? "stale-chain-tip" : "invalid-coinbase-tx-input", detail);
  }

  #awaitTip(declaration: Declaration, now: number): Effects {
    declaration.phase = { name: "held", since: now };
    return [];
  }

  /** A declaration that waits for its client's transactions goes on waiting as long as its height is the next one. */
  #onNewTip(declaration: Declaration, now: number): Effects {
    const misfit = this.#misfit(declaration);
    if (misfit !== undefined && misfit !== "held") return this.#refuse(declaration, misfit);
    return misfit === "held" || declaration.phase.name === "asked" ? [] : this.#advance(declaration, now);
  }

  #check(declaration: Declaration, now: number): Effects {
    const tip = this.#tip;
    if (tip === undefined) return this.#awaitTip(declaration, now);
    const { sizeFault } = declaration;
    if (sizeFault !== undefined) return this.#refuse(declaration, sizeFault);
    declaration.phase = { name: "checking", tip };
    declaration.checks += 1;
    const block = declaration.proposal(tip, { now, hashing: this.#options.hashing });
    return [{ type: "check", declaration: declaration.id, block }];
  }

  #checkAgain(declaration: Declaration, now: number): Effects {
    if (declaration.checks < MAX_CHECKS) return this.#advance(declaration, now);
    return this.#refuse(declaration, fault("stale-chain-tip", "the chain's tip moved while the job was checked"));
  }

  #checkStructure(declaration: Declaration, tip: DeclaratorTip, now: number): Effects {
    if (!isSameTip(tip, this.#tip)) return this.#checkAgain(declaration, now);
    const { hashing, network } = this.#options;
    const broken = structuralFault(declaration.proposal(tip, { now, hashing }), { tip, network, now });
    return broken === undefined
      ? this.#accept(declaration, tip, now)
      : this.#refuse(declaration, fault("invalid-job", `the block would break a rule: ${broken}`));
  }

  #accept(declaration: Declaration, tip: DeclaratorTip, now: number): Effects {
    const { minter, crypto, jobs } = this.#options;
    const { connection, requestId, token, wtxids, receivedAt } = declaration;
    const { userIdentifier } = token;
    const minted = minter.declare(declaration.commitment(tip, crypto), userIdentifier, now);
    jobs.add(declaration.job(tip, hex(minted.id)));
    this.#end(declaration);
    const message = { name: "DeclareMiningJobSuccess", requestId, newMiningJobToken: minted.bytes } as const;
    const { height } = tip;
    const tookMs = now - receivedAt;
    return [
      { type: "send", connection, message },
      { type: "declared", connection, requestId, userIdentifier, height, transactions: wtxids.length, tookMs },
    ];
  }

  #refuse(declaration: Declaration, why: DeclarationFault): Effects {
    this.#end(declaration);
    return refusal(declaration, why);
  }

  #end({ id, connection, token }: Declaration): void {
    this.#pending.delete(id);
    this.#tokens.get(connection)?.spend(token);
  }

  #lateness({ phase, receivedAt, checks }: Declaration, now: number): DeclarationFault | undefined {
    const { missingTimeoutMs, tipWaitMs, declarationTimeoutMs } = this.#options.limits;
    if (phase.name === "asked" && now - phase.since >= missingTimeoutMs) {
      return fault("missing-txs", "the transactions that were asked for did not come in time");
    }
    if (phase.name === "held" && now - phase.since >= tipWaitMs) {
      if (this.#tip === undefined) return fault("internal-error", "the server does not know the chain's tip yet");
      const moved = checks > 0 ? "the node has another tip" : "the node has not seen the block before";
      return fault("stale-chain-tip", moved);
    }
    if (now - receivedAt < declarationTimeoutMs) return undefined;
    return fault("internal-error", "the job could not be checked in time; try again later");
  }
}

function refusal(
  { connection, requestId }: { readonly connection: ConnectionId; readonly requestId: number },
  { errorCode, detail }: DeclarationFault,
): Effects {
  const errorDetails = new TextEncoder().encode(detail);
  return [
    { type: "send", connection, message: { name: "DeclareMiningJobError", requestId, errorCode, errorDetails } },
    { type: "declaration-refused", connection, requestId, errorCode, detail },
  ];
}

function isSameTip(one: DeclaratorTip, other: DeclaratorTip | undefined): boolean {
  return other !== undefined && one.height === other.height && hex(one.prevHash) === hex(other.prevHash);
}
