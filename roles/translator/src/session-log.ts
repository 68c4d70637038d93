import type { ClientChannel } from "@adit/channels";

/** What is logged of an event of a channel, where it has it. */
type LoggedField = "errorCode" | "sequenceNumber" | "lastSequenceNumber" | "count";
type LoggedEvent = { readonly channel: ClientChannel } & { readonly [field in LoggedField]?: string | number };

/** What an upstream said about a channel, as fields of a log line. */
export function eventFields({
  channel: { channelId, extranonceSize },
  errorCode,
  sequenceNumber,
  lastSequenceNumber,
  count,
}: LoggedEvent): Readonly<Record<string, string | number | undefined>> {
  return { channelId, extranonceSize, errorCode, sequenceNumber, lastSequenceNumber, count };
}
