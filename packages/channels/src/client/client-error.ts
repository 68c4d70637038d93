/**
 * Why the caller of a client was wrong. `channel-closed`: the channel is closed, open another. `wrong-channel-kind`: the
 * submit belongs to the other kind of channel. `bad-extranonce-size`: the extranonce is not `extranonceSize` bytes.
 * `request-id-in-use`: an open request with that id still waits. `too-many-requests`: as many as the limits allow wait.
 */
export type MiningClientErrorCode =
  | "channel-closed"
  | "wrong-channel-kind"
  | "bad-extranonce-size"
  | "request-id-in-use"
  | "too-many-requests";

/** The caller used a client or channel in a way it does not allow. What the server does never throws. */
export class MiningClientError extends Error {
  override readonly name = "MiningClientError";
  /** Why, stable for programs. */
  readonly code: MiningClientErrorCode;
  /** What was called, e.g. `ClientChannel.submitExtended`. */
  readonly at: string;

  constructor(code: MiningClientErrorCode, at: string, detail: string) {
    super(`${at}: ${detail}`);
    this.code = code;
    this.at = at;
  }
}
