import { type Frame, specName, type Tlv } from "@adit/codec";

/** Fields of the wordy messages that say what a message is about; of all others every field is shown. */
const telling: Readonly<Record<string, readonly string[]>> = {
  SetupConnection: ["protocol", "flags", "endpointHost", "vendor"],
  NewTemplate: ["templateId", "futureTemplate", "coinbaseTxValueRemaining", "coinbasePrefix", "merklePath"],
  NewExtendedMiningJob: ["channelId", "jobId", "minNtime", "version", "merklePath"],
  SetCustomMiningJob: ["channelId", "requestId", "miningJobToken", "prevHash", "minNtime", "coinbasePrefix"],
  DeclareMiningJob: ["requestId", "miningJobToken", "version", "wtxidList"],
};

/** Characters of a text, and bytes of a byte string, that are shown. */
const SHOWN_CHARACTERS = 40;
const SHOWN_BYTES = 4;

/** A message and its TLV fields in one line: its name, and the fields that matter under the specification's names. */
export function messageLine(message: { readonly name: string }, tlvs: readonly Tlv[]): string {
  const fields = Object.entries(message).filter(([key]) => telling[message.name]?.includes(key) ?? key !== "name");
  const shown = fields.map(([key, value]) => `${specName(key)}=${shortly(value)}`);
  const behind = tlvs.map((tlv) => `tlv ${number(tlv.extensionType)}/${tlv.fieldType}=${shortly(tlv.value)}`);
  return [message.name, ...shown, ...behind].join(" ");
}

/** A frame that nobody knows, in one line. */
export function frameLine({ extensionType, messageType, payload }: Frame): string {
  return `unknown message ${number(messageType)} of extension ${number(extensionType)}, ${payload.length} bytes`;
}

function shortly(value: unknown): string {
  if (value instanceof Uint8Array) return bytes(value);
  if (Array.isArray(value)) return `[${value.length}]`;
  if (typeof value !== "string") return String(value);
  return JSON.stringify(value.length > SHOWN_CHARACTERS ? `${value.slice(0, SHOWN_CHARACTERS)}...` : value);
}

function bytes(value: Uint8Array): string {
  const start = Buffer.from(value.subarray(0, SHOWN_BYTES)).toString("hex");
  return value.length > SHOWN_BYTES ? `${start}...(${value.length})` : start || "empty";
}

function number(value: number): string {
  return `0x${value.toString(16).padStart(2, "0")}`;
}
