import { CodecError } from "./codec-error.ts";
import { type Frame, HEADER_SIZE, MAX_PAYLOAD, writeHeader } from "./frame.ts";
import { type Layout, layoutOf, type MessageRow, readMessage, writeMessage } from "./message-set.ts";
import { type CommonMessage, common } from "./messages/common.ts";
import { type ExtensionsNegotiationMessage, extensionsNegotiation } from "./messages/extensions-negotiation.ts";
import { type JobDeclarationMessage, jobDeclaration } from "./messages/job-declaration.ts";
import { type MiningMessage, mining } from "./messages/mining.ts";
import { type TemplateDistributionMessage, templateDistribution } from "./messages/template-distribution.ts";
import { Reader } from "./reader.ts";
import { readTlvs, type Tlv, type TlvByteOrder, WORKER_HASHRATE_TRACKING, writeTlvs } from "./tlv.ts";
import { Writer } from "./writer.ts";

/** A sub-protocol: a connection carries exactly one, chosen in SetupConnection. */
export type Protocol = "mining" | "job_declaration" | "template_distribution";

/** The values of SetupConnection.protocol (spec 3.6.1). */
export const protocolNumber: Readonly<Record<Protocol, number>> = {
  mining: 0,
  job_declaration: 1,
  template_distribution: 2,
};

/** The messages that may travel on a connection of each sub-protocol. */
export interface Dialects {
  mining: CommonMessage | ExtensionsNegotiationMessage | MiningMessage;
  job_declaration: CommonMessage | ExtensionsNegotiationMessage | JobDeclarationMessage;
  template_distribution: CommonMessage | ExtensionsNegotiationMessage | TemplateDistributionMessage;
}

/** Any message that may travel on a connection of one sub-protocol. */
export type DialectMessage<P extends Protocol> = Dialects[P];

/** What a frame turned out to hold. */
export type Decoded<M> =
  /** A message of the dialect and the TLV fields behind it, unknown ones included. */
  | { readonly kind: "message"; readonly message: M; readonly tlvs: readonly Tlv[] }
  /**
   * A frame of an extension nobody here knows. With a channel id it is for the channel's endpoint, and a proxy forwards
   * it; without one (null) it is to be ignored (spec 3.4.1).
   */
  | { readonly kind: "unknown-extension"; readonly channelId: number | null; readonly frame: Frame }
  /** A message type that a known extension or the core protocols do not define. */
  | { readonly kind: "unknown-message"; readonly frame: Frame };

/** Turns the messages of one sub-protocol, and those shared by all, into frames and back. */
export interface Dialect<P extends Protocol> {
  /** The sub-protocol. */
  readonly protocol: P;
  /**
   * One whole frame: header, payload and TLV fields, ordered as {@link encodeTlvs} does. Throws CodecError when a value
   * does not fit its field, or the message is not of this dialect.
   */
  encode(message: DialectMessage<P>, tlvs?: readonly Tlv[], tlvByteOrder?: TlvByteOrder): Uint8Array;
  /**
   * Reads one frame. Byte fields are views into the payload: copy what outlives it. A channel_msg bit that disagrees
   * with the table is tolerated. Throws nothing but CodecError.
   */
  decode(frame: Frame): Decoded<DialectMessage<P>>;
}

/** The dialect of one sub-protocol. */
export function dialect<P extends Protocol>(protocol: P): Dialect<P> {
  return dialects[protocol];
}

const NO_TLVS: readonly Tlv[] = [];
const protocolRows: Readonly<Record<Protocol, readonly MessageRow[]>> = {
  mining: Object.values(mining.rows),
  job_declaration: Object.values(jobDeclaration.rows),
  template_distribution: Object.values(templateDistribution.rows),
};
const sharedRows: readonly MessageRow[] = [...Object.values(common.rows), ...Object.values(extensionsNegotiation.rows)];
const allRows: readonly MessageRow[] = [...sharedRows, ...Object.values(protocolRows).flat()];

class TableDialect<P extends Protocol> implements Dialect<P> {
  readonly protocol: P;
  readonly #byName = new Map<string, Layout>();
  /** By extension, then by message type. */
  readonly #byNumber = new Map<number, Map<number, Layout>>([[WORKER_HASHRATE_TRACKING, new Map()]]);
  readonly #writer = new Writer(HEADER_SIZE + MAX_PAYLOAD);

  constructor(protocol: P) {
    this.protocol = protocol;
    for (const row of [...sharedRows, ...protocolRows[protocol]]) this.#add(layoutOf(row));
  }

  encode(message: DialectMessage<P>, tlvs: readonly Tlv[] = NO_TLVS, tlvByteOrder: TlvByteOrder = "big"): Uint8Array {
    const layout = this.#byName.get(message.name);
    if (layout === undefined) throw strangerError(message.name);
    const { extensionType, channel: channelMsg, type: messageType, name } = layout.row;
    const writer = this.#writer;
    writer.start(name);
    writeHeader(writer, { extensionType, channelMsg, messageType, length: 0 });
    writeMessage(layout, writer, message);
    if (tlvs.length > 0) {
      writer.at = `${name}.tlv`;
      writeTlvs(writer, tlvs, tlvByteOrder);
    }
    writer.patchUint24(3, writer.length - HEADER_SIZE);
    return writer.finish();
  }

  decode(frame: Frame): Decoded<DialectMessage<P>> {
    const messages = this.#byNumber.get(frame.extensionType);
    if (messages === undefined) return { kind: "unknown-extension", channelId: channelIdOf(frame), frame };
    const layout = messages.get(frame.messageType);
    if (layout === undefined) return this.#unknown(frame);
    const reader = new Reader(frame.payload, layout.row.name);
    const message = readMessage(layout, reader) as DialectMessage<P>;
    if (reader.remaining === 0) return { kind: "message", message, tlvs: NO_TLVS };
    const tlvs = readTlvs(reader.bytes(reader.remaining), `${layout.row.name}.tlv`);
    return { kind: "message", message, tlvs };
  }

  #add(layout: Layout): void {
    const { name, extensionType, type } = layout.row;
    const messages = this.#byNumber.get(extensionType) ?? new Map<number, Layout>();
    this.#byNumber.set(extensionType, messages.set(type, layout));
    this.#byName.set(name, layout);
  }

  #unknown(frame: Frame): Decoded<never> {
    const stranger = allRows.find((row) => row.extensionType === frame.extensionType && row.type === frame.messageType);
    if (stranger !== undefined) throw new CodecError("wrong-protocol", stranger.name);
    return { kind: "unknown-message", frame };
  }
}

const dialects: { readonly [P in Protocol]: Dialect<P> } = {
  mining: new TableDialect("mining"),
  job_declaration: new TableDialect("job_declaration"),
  template_distribution: new TableDialect("template_distribution"),
};

function strangerError(name: string): CodecError {
  return new CodecError(allRows.some((row) => row.name === name) ? "wrong-protocol" : "unknown-message", name);
}

function channelIdOf(frame: Frame): number | null {
  return frame.channelMsg ? new Reader(frame.payload, "unknown-extension.channelId").uint32() : null;
}
