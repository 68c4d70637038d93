export { Sv1ClientSession } from "./client-session.ts";
export {
  defaultSv1ClientLimits,
  type Sv1ClientCloseReason,
  type Sv1ClientEffect,
  type Sv1ClientInput,
  type Sv1ClientJob,
  type Sv1ClientLimits,
  type Sv1ClientOptions,
  type Sv1ClientSubmit,
} from "./client-types.ts";
export { ROLLABLE_VERSION_BITS } from "./configure.ts";
export { roundDifficultyDown } from "./difficulty.ts";
export { coinbaseOf, keepAliveJob, prevHashFromSv1, prevHashToSv1, type Sv1Job } from "./job.ts";
export { LineSplitter } from "./line-splitter.ts";
export {
  type MessageLimits,
  minerMessageLimits,
  parseMessage,
  poolMessageLimits,
  type RawId,
  type Sv1Fault,
  type Sv1Message,
  type Sv1Request,
  type Sv1Response,
} from "./message.ts";
export { Sv1ServerSession } from "./server-session.ts";
export {
  defaultSv1Limits,
  type Sv1CloseReason,
  type Sv1Limits,
  type Sv1RejectCode,
  type Sv1RejectReason,
  type Sv1ServerEffect,
  type Sv1ServerInput,
  type Sv1ServerOptions,
  type Sv1Share,
} from "./server-types.ts";
export { Sv1Error, type Sv1ErrorCode } from "./sv1-error.ts";
