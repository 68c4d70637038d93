import type { FieldType } from "./fields.ts";
import { MAX_PAYLOAD } from "./frame.ts";
import type { Reader } from "./reader.ts";
import type { Writer } from "./writer.ts";

/** A message's fields in wire order, under the specification's names in camelCase. */
export type Fields = Readonly<Record<string, FieldType<unknown>>>;

/** What the table says about one message. */
export interface MessageDefinition {
  /** Number of the message within its extension (spec chapter 8). */
  readonly type: number;
  /** Whether the frame carries the channel_msg bit (spec chapter 8). */
  readonly channel: boolean;
  /** Section of the specification, or of the extension's document, that describes the message. */
  readonly section: string;
  /** Who sends it. */
  readonly sender: "client" | "server" | "both";
  /** Its fields in wire order. */
  readonly fields: Fields;
}

/** One message of a {@link MessageSet}: its definition and what follows from it. */
export interface MessageRow<Name extends string = string, F extends Fields = Fields> extends MessageDefinition {
  /** The `name` of the message's objects. */
  readonly name: Name;
  /** The specification's spelling, e.g. `SubmitShares.Success`. */
  readonly specName: string;
  /** The extension that defines the message, 0 for the core protocols. */
  readonly extensionType: number;
  /** Fewest payload bytes. */
  readonly minSize: number;
  /** Most payload bytes without TLV fields, never above what a frame can hold. */
  readonly maxSize: number;
  readonly fields: F;
}

/** The messages of one sub-protocol or extension. */
export interface MessageSet<T extends Readonly<Record<string, MessageDefinition>>> {
  /** The extension that defines the messages, 0 for the core protocols. */
  readonly extensionType: number;
  /** One row a message. */
  readonly rows: { readonly [Name in keyof T & string]: MessageRow<Name, T[Name]["fields"]> };
}

type ValueOf<F> = F extends FieldType<infer T> ? T : never;

type MessageFrom<Name extends string, F extends Fields> = {
  readonly [Key in "name" | keyof F]: Key extends "name" ? Name : ValueOf<F[Key]>;
};

/** The objects of a set's messages, told apart by `name`; or of one message when it is named. */
export type MessageOf<
  Set extends { readonly rows: Readonly<Record<string, MessageRow>> },
  Name extends keyof Set["rows"] & string = keyof Set["rows"] & string,
> = { [N in Name]: MessageFrom<N, Set["rows"][N]["fields"]> }[Name];

/** Makes a set of messages from their definitions: the only place where a message is written down. */
export function defineMessages<const T extends Readonly<Record<string, MessageDefinition>>>(
  extensionType: number,
  definitions: T,
): MessageSet<T> {
  const rows = Object.entries(definitions).map(([name, definition]) => {
    const fields = Object.values(definition.fields);
    return {
      ...definition,
      name,
      specName: name.replace(/(Success|Error)$/, ".$1"),
      extensionType,
      minSize: fields.reduce((sum, field) => sum + field.minSize, 0),
      maxSize: Math.min(
        MAX_PAYLOAD,
        fields.reduce((sum, field) => sum + field.maxSize, 0),
      ),
    };
  });
  // Object.fromEntries cannot carry the link between a row's key and its type.
  return { extensionType, rows: Object.fromEntries(rows.map((row) => [row.name, row])) as MessageSet<T>["rows"] };
}

/** A message whose row is only known at run time. */
export type AnyMessage = { readonly name: string } & Readonly<Record<string, unknown>>;

/** A row made ready for reading and writing: error paths are spelt out once. */
export interface Layout {
  readonly row: MessageRow;
  readonly fields: readonly { readonly key: string; readonly at: string; readonly type: FieldType<unknown> }[];
}

/** Prepares a row for {@link readMessage} and {@link writeMessage}. */
export function layoutOf(row: MessageRow): Layout {
  const fields = Object.entries(row.fields).map(([key, type]) => ({ key, at: `${row.name}.${key}`, type }));
  return { row, fields };
}

/** Reads one message; what is left in the reader are its TLV fields. Throws CodecError. */
export function readMessage({ row, fields }: Layout, reader: Reader): AnyMessage {
  const message: { name: string } & Record<string, unknown> = { name: row.name };
  for (const { key, at, type } of fields) {
    reader.at = at;
    message[key] = type.read(reader);
  }
  return message;
}

/** Writes one message's payload. Throws CodecError when a value does not fit its field. */
export function writeMessage({ fields }: Layout, writer: Writer, message: AnyMessage): void {
  for (const { key, at, type } of fields) {
    writer.at = at;
    type.write(writer, message[key]);
  }
}
