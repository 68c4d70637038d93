import type { Protocol } from "./dialect.ts";
import type { MessageRow } from "./message-set.ts";
import { common } from "./messages/common.ts";
import { extensionsNegotiation } from "./messages/extensions-negotiation.ts";
import { jobDeclaration } from "./messages/job-declaration.ts";
import { mining } from "./messages/mining.ts";
import { templateDistribution } from "./messages/template-distribution.ts";

/** Where a message is defined: a sub-protocol, what they all share, or an extension. */
export type MessageProtocol = Protocol | "common" | "extensions_negotiation";

/** Every table of messages, by where they are defined. */
export const messageSets: Readonly<Record<MessageProtocol, { readonly rows: Readonly<Record<string, MessageRow>> }>> = {
  common,
  mining,
  job_declaration: jobDeclaration,
  template_distribution: templateDistribution,
  extensions_negotiation: extensionsNegotiation,
};

/** One message's name and number, for metric labels and logs. */
export interface MessageNumber {
  /** Where it is defined. */
  readonly protocol: MessageProtocol;
  /** The specification's spelling, e.g. `SubmitShares.Success`. */
  readonly name: string;
  /** Number within its extension. */
  readonly type: number;
  /** 0 for the core protocols. */
  readonly extensionType: number;
  /** Whether its frame carries the channel_msg bit. */
  readonly channel: boolean;
}

/** Every message Adit knows. */
export const messageNames: readonly MessageNumber[] = Object.entries(messageSets).flatMap(([protocol, { rows }]) =>
  Object.values(rows).map(({ specName: name, type, extensionType, channel }) => ({
    protocol: protocol as MessageProtocol,
    name,
    type,
    extensionType,
    channel,
  })),
);

type NamesOf<Set extends { readonly rows: object }> = keyof Set["rows"];

/** The `name` of any message. */
export type MessageName =
  | NamesOf<typeof common>
  | NamesOf<typeof mining>
  | NamesOf<typeof jobDeclaration>
  | NamesOf<typeof templateDistribution>
  | NamesOf<typeof extensionsNegotiation>;

/**
 * Most payload bytes of a message, without TLV fields: what a frame limit may be as long as only this message is
 * welcome. For `SetNewPrevHash`, the larger of the two messages with that name.
 */
export function maxPayloadOf(name: MessageName): number {
  return Math.max(...Object.values(messageSets).map(({ rows }) => rows[name]?.maxSize ?? 0));
}

const irregularFields: Readonly<Record<string, string>> = {
  nBits: "nBits",
  coinbaseTxInputNSequence: "coinbase_tx_input_nSequence",
};

/** The specification's spelling of a field, for documentation: `channelId` is `channel_id`. */
export function specName(field: string): string {
  return irregularFields[field] ?? field.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
