import type { Target } from "@adit/bitcoin";
import type { ClientChannel } from "./client-channel.ts";
import type { ClientJob } from "./client-job.ts";

/**
 * What the server did that the spec does not allow or this client cannot follow. It is reported and otherwise ignored.
 * `unknown-request`: an answer to a request that does not wait. `bad-open`: an open reply that cannot be used (id
 * taken, wrong kind, extranonce too small or too large, or too many channels). `unknown-channel`: work for a channel or
 * group that does not exist. `unknown-job`: a prevhash for a job that was not received as future. `job-without-prev-hash`:
 * an active job before any prevhash. `wrong-job-kind`: a standard job for an extended channel. `bad-target`: a target of
 * zero. `bad-group`: a group id that is a channel's. `unexpected-message`: a message that a server does not send here.
 */
export type ClientFaultCode =
  | "unknown-request"
  | "bad-open"
  | "unknown-channel"
  | "unknown-job"
  | "job-without-prev-hash"
  | "wrong-job-kind"
  | "bad-target"
  | "bad-group"
  | "unexpected-message";

/** A broken rule of the server, for the log and for counting. */
export interface ClientFault {
  /** Marks the event. */
  readonly type: "protocol-fault";
  /** Which rule, stable for programs. */
  readonly code: ClientFaultCode;
  /** What exactly, for people. */
  readonly detail: string;
}

/** What a message from the server means for the client's user, in order. */
export type ClientEvent =
  /** A channel is open; its first job follows. */
  | { readonly type: "opened"; readonly requestId: number; readonly channel: ClientChannel }
  /** The server refused, or opened something unusable (`errorCode` "bad-open"). */
  | { readonly type: "open-refused"; readonly requestId: number; readonly errorCode: string }
  /** Mine this now. `clean`: the prevhash changed, so all older work is dead. */
  | { readonly type: "job"; readonly channel: ClientChannel; readonly job: ClientJob; readonly clean: boolean }
  /** A job that waits for its prevhash. */
  | { readonly type: "future-job"; readonly channel: ClientChannel; readonly job: ClientJob }
  /** Target for jobs that become active from now on. */
  | { readonly type: "target"; readonly channel: ClientChannel; readonly target: Target }
  /** Extranonce prefix for jobs received from now on. */
  | { readonly type: "prefix"; readonly channel: ClientChannel; readonly extranoncePrefix: Uint8Array }
  /** `count` shares up to a sequence number were accepted, of difficulty `sum` in all. */
  | {
      readonly type: "shares-accepted";
      readonly channel: ClientChannel;
      readonly lastSequenceNumber: number;
      readonly count: number;
      readonly sum: bigint;
    }
  /** One share was rejected. */
  | {
      readonly type: "share-rejected";
      readonly channel: ClientChannel;
      readonly sequenceNumber: number;
      readonly errorCode: string;
    }
  /**
   * The server took a custom job: shares may be submitted under `jobId` (spec 5.3.19). `target` and `extranoncePrefix`
   * are what they are judged by.
   */
  | {
      readonly type: "custom-job-accepted";
      readonly channel: ClientChannel;
      readonly requestId: number;
      readonly jobId: number;
      readonly target: Target;
      readonly extranoncePrefix: Uint8Array;
    }
  /** The server refused a custom job. */
  | {
      readonly type: "custom-job-refused";
      readonly channel: ClientChannel;
      readonly requestId: number;
      readonly errorCode: string;
    }
  /** The server closed the channel, alone or with its group. */
  | { readonly type: "channel-closed"; readonly channel: ClientChannel; readonly reasonCode: string }
  /** The server refused an UpdateChannel. */
  | { readonly type: "update-refused"; readonly channel: ClientChannel; readonly errorCode: string }
  /** The server asks to connect elsewhere; an empty host means the same one (spec 3.6.5). */
  | { readonly type: "reconnect"; readonly host: string; readonly port: number }
  | ClientFault;
