/**
 * Benches and generators of the packages' own tests, which have no public entry. The fuzzers use them rather than
 * copies; nothing else in this workspace imports past a package's exports.
 */
export { ClientView, Harness, prevHash, template } from "../../../packages/channels/src/server/testing/harness.ts";
export {
  blockCoinbase,
  readDeclaredCoinbase,
} from "../../../packages/job-declarator/src/core/declared-coinbase.ts";
export type { DeclaratorEffect } from "../../../packages/job-declarator/src/core/effects.ts";
export { judgeCustomJob } from "../../../packages/job-declarator/src/custom-job.ts";
export {
  AUTHORITY,
  AUTHORITY_SECRET,
  countingEntropy,
  Declaring,
  declaration,
  solution,
} from "../../../packages/job-declarator/src/testing/declaring.ts";
export {
  coinbaseParts,
  hashOf,
  PAYOUT_SCRIPT,
  tipBelow,
  transaction,
} from "../../../packages/job-declarator/src/testing/sample-template.ts";
export { encodeToken, readToken, tokenDigest, verifyToken } from "../../../packages/job-declarator/src/token.ts";
export { TokenMinter } from "../../../packages/job-declarator/src/token-minter.ts";
export { UsedTokens } from "../../../packages/job-declarator/src/used-tokens.ts";
export { EASY, EXTRANONCE1, testJob } from "../../../packages/sv1/src/testing/miner-bench.ts";
export { fromMiner, fromPool, lineFrom } from "../../../packages/sv1/src/testing/random-lines.ts";
export { Bench as JdClientBench } from "../../../roles/jd-client/src/core/testing/bench.ts";
export { EASY_BITS } from "../../../roles/jd-client/src/core/testing/templates.ts";
export { Bench } from "../../../roles/translator/src/testing/bench.ts";
export { poolJob } from "../../../roles/translator/src/testing/pool-job.ts";
