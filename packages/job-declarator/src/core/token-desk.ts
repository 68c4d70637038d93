import { hex } from "@adit/bitcoin";
import type { AllocateMiningJobToken } from "@adit/codec";
import { TokenBucket } from "@adit/token-bucket";
import { sameSecret } from "../same-secret.ts";
import { readToken } from "../token.ts";
import type { MintedToken } from "../token-minter.ts";
import type { DeclaratorLimits } from "./limits.ts";

/** A token that a client may declare one job with. */
export interface AllocatedToken {
  readonly id: string;
  readonly bytes: Uint8Array;
  readonly userIdentifier: string;
  /** Unix milliseconds. */
  readonly expiresAt: number;
  /** A declaration with it is under way. */
  inUse: boolean;
}

/** A request for a token. */
export type TokenRequest = Omit<AllocateMiningJobToken, "name">;

/** The tokens of one connection, and who waits for one. The protocol has no refusal for a request, so it waits its turn. */
export class TokenDesk {
  readonly #limits: DeclaratorLimits;
  readonly #bucket: TokenBucket;
  readonly #tokens = new Map<string, AllocatedToken>();
  #waiting: readonly TokenRequest[] = [];

  /** `now` in Unix milliseconds, here and below. */
  constructor(limits: DeclaratorLimits, now: number) {
    this.#limits = limits;
    this.#bucket = new TokenBucket({ perSecond: limits.tokensPerSecond, burst: limits.tokenBurst }, now);
  }

  /** Tokens that no declaration has been answered with. */
  get held(): number {
    return this.#tokens.size;
  }

  /** Requests that wait. */
  get waiting(): number {
    return this.#waiting.length;
  }

  /** Puts a request into the line; false when the line is too long. */
  ask(request: TokenRequest): boolean {
    this.#waiting = [...this.#waiting, request];
    return this.#waiting.length <= this.#limits.maxHeldTokenRequests;
  }

  /** Takes the next request that may be served now out of the line. `isRoom`: nothing else stands against another token. */
  next(now: number, isRoom: boolean): TokenRequest | undefined {
    const [first, ...others] = this.#waiting;
    const isFull = this.#tokens.size >= this.#limits.maxTokensPerConnection || !isRoom;
    if (first === undefined || isFull || !this.#bucket.take(now)) return undefined;
    this.#waiting = others;
    return first;
  }

  /** Remembers a token that the client was given to declare a job with. */
  add({ id, bytes, expiresAt }: MintedToken, userIdentifier: string): void {
    const key = hex(id);
    this.#tokens.set(key, { id: key, bytes, userIdentifier, expiresAt, inUse: false });
  }

  /** The token that these bytes are; undefined when this connection has no such token, or it is in use or too old. */
  find(bytes: Uint8Array, now: number): AllocatedToken | undefined {
    const read = readToken(bytes);
    const token = read === undefined ? undefined : this.#tokens.get(hex(read.id));
    if (token === undefined || !sameSecret(token.bytes, bytes)) return undefined;
    return token.inUse || now >= token.expiresAt ? undefined : token;
  }

  /** The declaration with this token is answered. */
  spend({ id }: AllocatedToken): void {
    this.#tokens.delete(id);
  }

  /** Forgets tokens whose time is over. */
  expire(now: number): void {
    for (const token of this.#tokens.values())
      if (now >= token.expiresAt && !token.inUse) this.#tokens.delete(token.id);
  }
}
