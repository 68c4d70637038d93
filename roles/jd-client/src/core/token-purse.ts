import type { AllocateMiningJobTokenSuccess, JobDeclarationMessage } from "@adit/codec";
import type { Failure } from "./failure.ts";
import type { Outbox } from "./outbox.ts";
import { isSamePayout, type Payout, type PayoutRules, readPayout } from "./payout.ts";

/** What a {@link TokenPurse} works with. */
export interface TokenPurseParts {
  readonly userIdentity: string;
  /** What the outputs of tokens must be. */
  readonly rules: PayoutRules;
  /** Longest wait for a token, in milliseconds. */
  readonly timeoutMs: number;
  readonly outbox: Outbox;
  /** A request id that was not used before. */
  readonly nextRequestId: () => number;
  readonly toJds: (message: JobDeclarationMessage) => void;
}

/** Tokens that are held, or asked for, at once. */
const HELD = 2;
/** A token that lies longer than this may have been forgotten by whoever gave it, in milliseconds. */
const LIFE_MS = 300_000;

/**
 * Tokens for jobs to come (spec 6.4.2): a few are held, so that no job waits for one. Each is used once, oldest first.
 * All must pay to the same outputs.
 */
export class TokenPurse {
  readonly #parts: TokenPurseParts;
  /** Oldest first. */
  readonly #tokens: { readonly token: Uint8Array; readonly at: number }[] = [];
  /** When each request was made, by its id. */
  readonly #asked = new Map<number, number>();
  #payout: Payout | undefined;

  constructor(parts: TokenPurseParts) {
    this.#parts = parts;
  }

  /** Who is paid; undefined before the first token. */
  get payout(): Payout | undefined {
    return this.#payout;
  }

  /** Asks for as many tokens as there should be more. */
  fill(): void {
    const { userIdentity, outbox, nextRequestId, toJds } = this.#parts;
    while (this.#tokens.length + this.#asked.size < HELD) {
      const requestId = nextRequestId();
      this.#asked.set(requestId, outbox.now);
      toJds({ name: "AllocateMiningJobToken", userIdentifier: userIdentity, requestId });
    }
  }

  /** A token came. Returns why to leave the upstream, if that is to be. */
  receive({ requestId, miningJobToken, coinbaseTxOutputs }: AllocateMiningJobTokenSuccess): Failure | undefined {
    const { outbox, rules } = this.#parts;
    if (!this.#asked.delete(requestId)) {
      return { code: "protocol-fault", detail: `a token for request ${requestId}, which does not wait` };
    }
    const read = readPayout(coinbaseTxOutputs, rules);
    if ("failure" in read) return read.failure;
    if (this.#payout !== undefined && !isSamePayout(this.#payout, read.payout)) {
      return { code: "payout-changed", detail: "a token has other outputs than the first one" };
    }
    this.#payout ??= read.payout;
    outbox.count("tokens", "allocated");
    this.#tokens.push({ token: miningJobToken.slice(), at: outbox.now });
    return undefined;
  }

  /** Uses a token up; undefined when there is none. */
  take(): Uint8Array | undefined {
    const token = this.#tokens.shift()?.token;
    if (token !== undefined) this.#parts.outbox.count("tokens", "used");
    return token;
  }

  /** A second has passed: old tokens are thrown away. Returns why to leave the upstream, if that is to be. */
  tick(): Failure | undefined {
    const { outbox, timeoutMs } = this.#parts;
    const young = this.#tokens.findIndex(({ at }) => outbox.now - at < LIFE_MS);
    const old = this.#tokens.splice(0, young === -1 ? this.#tokens.length : young);
    outbox.count("tokens", "expired", old.length);
    for (const askedAt of this.#asked.values()) {
      if (outbox.now - askedAt < timeoutMs) continue;
      return { code: "token-timeout", detail: `no token in ${timeoutMs / 1000} s` };
    }
    return undefined;
  }
}
