export {
  AUTHORITY,
  AUTHORITY_SECRET,
  Declaring,
  declaration,
  LIMITS,
  type SampleDeclaration,
  sentIn,
  solution,
} from "./declaring.ts";
export { JdClient } from "./jd-client.ts";
export { coinbaseParts, PAYOUT_SCRIPT, type SampleCoinbase, tipBelow, transaction } from "./sample-template.ts";
