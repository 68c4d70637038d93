export { TokenBucket, type TokenRate } from "./token-bucket.ts";
