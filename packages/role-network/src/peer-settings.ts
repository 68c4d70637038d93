import { defaultPeerOptions, type PeerOptions } from "@adit/network-helpers/peers";
import { boundedKeys } from "@adit/role-kit";
import { z } from "zod";

const { count, seconds } = boundedKeys({ count: 100_000, seconds: 86_400 });

const defaults = defaultPeerOptions;

/** A role's `[peers]`: how it keeps connections to peers that it dials when it needs them. */
export const peerSettings = z
  .strictObject({
    maxConnections: count(
      defaults.maxConnections,
      "connections to peers at once; for one more, the connection that was idle for the longest is closed",
    ),
    breakerFailures: count(defaults.breakerFailures, "failures in a row after which a peer is left alone for a while"),
    breakerOpenSecs: seconds(defaults.breakerOpenMs, "that while; then one trial decides"),
    messageTtlSecs: seconds(defaults.messageTtlMs, "longest wait of a message for its delivery"),
    messageAttempts: count(defaults.messageAttempts, "deliveries of a message that may fail before it is dropped"),
    maxBufferedBytes: z
      .int()
      .min(1024)
      .max(1 << 30)
      .default(defaults.maxBufferedBytes)
      .describe("bytes of messages that may wait for one peer; more are refused"),
    healthCheckSecs: seconds(defaults.healthCheckMs, "time from one health check of a connection to the next"),
    idleSecs: seconds(defaults.idleMs, "time after which a connection nobody uses is closed"),
  })
  .readonly();

/** What {@link peerSettings} parses to. */
export type PeerSettings = z.output<typeof peerSettings>;

/** The settings as network-helpers takes them; what has no key keeps its default. */
export function toPeerOptions(settings: PeerSettings): PeerOptions {
  return {
    ...defaultPeerOptions,
    maxConnections: settings.maxConnections,
    breakerFailures: settings.breakerFailures,
    breakerOpenMs: settings.breakerOpenSecs * 1000,
    messageTtlMs: settings.messageTtlSecs * 1000,
    messageAttempts: settings.messageAttempts,
    maxBufferedBytes: settings.maxBufferedBytes,
    healthCheckMs: settings.healthCheckSecs * 1000,
    idleMs: settings.idleSecs * 1000,
  };
}
