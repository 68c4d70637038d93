export { addressOf, type ScriptKind } from "./address.ts";
export { type Block, decodeBlock, encodeBlock } from "./block.ts";
export { concatBytes, sameBytes } from "./bytes.ts";
export { type BlockContext, type BlockFault, checkBlock } from "./check-block.ts";
export {
  assembleCoinbase,
  bip34Prefix,
  buildCoinbase,
  type CoinbaseFrame,
  type CoinbaseParts,
  type CoinbaseSpec,
  coinbaseAround,
  MAX_SCRIPT_SIG,
  parseBip34,
  restoreWitness,
  type ScriptSigSpec,
  scriptSigSizeOf,
  stripWitness,
  witnessCommitmentOf,
  witnessCommitmentOutput,
} from "./coinbase.ts";
export { type DecodedCoinbase, type DecodedOutput, describeCoinbase } from "./coinbase-description.ts";
export { scriptFromDescriptor } from "./descriptor.ts";
export { BitcoinError, type BitcoinErrorCode } from "./errors.ts";
export { displayHash, type Hash, hash, hashFromDisplay, sha256d } from "./hash.ts";
export { decodeHeader, encodeHeader, type HeaderFields } from "./header.ts";
export { fromHex, hex } from "./hex.ts";
export { merklePath, merkleRootOf } from "./merkle.ts";
export { type Network, subsidy } from "./network.ts";
export { type HashedShare, pureHashing, type ShareHashing, type UnhashedShare } from "./share-hashing.ts";
export {
  bitsFromTarget,
  DIFFICULTY_1,
  difficultyOf,
  hashrateFromTarget,
  MAX_TARGET,
  meetsTarget,
  type Target,
  target,
  targetFromBits,
  targetFromBytes,
  targetFromDifficulty,
  targetFromHashrate,
  targetToBytes,
  type Work,
  workOf,
} from "./target.ts";
export {
  compactSize,
  decodeCountedOutputs,
  decodeOutputs,
  decodeTransaction,
  encodeOutputs,
  encodeTransaction,
  isCoinbase,
  legacySigops,
  MAX_BLOCK_WEIGHT,
  MAX_MONEY,
  type Transaction,
  type TxInput,
  type TxOutput,
  transactionWeight,
  txid,
  wtxid,
} from "./transaction.ts";
