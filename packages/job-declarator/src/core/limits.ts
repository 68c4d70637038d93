/** Bounds of what clients can take of a job-declarator server. */
export interface DeclaratorLimits {
  /** Longest wait for a connection's first request for a token, in milliseconds. */
  readonly firstRequestMs: number;
  /** Tokens one connection holds that no declaration has been answered with. */
  readonly maxTokensPerConnection: number;
  /** The same of all connections. */
  readonly maxTokens: number;
  /** Tokens a second one connection is given on average. */
  readonly tokensPerSecond: number;
  /** Tokens one connection is given at once. */
  readonly tokenBurst: number;
  /** Requests for tokens of one connection that may wait for their turn; it is closed beyond them. */
  readonly maxHeldTokenRequests: number;
  /** Declarations of one connection that are not answered. */
  readonly maxPendingPerConnection: number;
  /** The same of all connections. */
  readonly maxPending: number;
  /** Longest wait for transactions that were asked for, in milliseconds. */
  readonly missingTimeoutMs: number;
  /** Longest wait for the block that a declaration builds on and the node has not, in milliseconds. */
  readonly tipWaitMs: number;
  /** Longest time from a declaration to its answer, in milliseconds. */
  readonly declarationTimeoutMs: number;
  /** Declared jobs of one connection that solutions are tried with. */
  readonly maxJobsPerConnection: number;
  /** The same of all connections. */
  readonly maxJobs: number;
  /** Bytes of all declared jobs; transactions they share count once. */
  readonly maxJobBytes: number;
  /** Transactions of one connection's declarations in a minute; 240 bytes of a transaction that it provides are one more. */
  readonly maxTransactionsPerMinute: number;
  /** Messages of one connection in a minute, solutions apart; it is closed beyond them. */
  readonly maxMessagesPerMinute: number;
  /** Solutions of one connection in a minute; further ones are not looked at. */
  readonly maxSolutionsPerMinute: number;
}
