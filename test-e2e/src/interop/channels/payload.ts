import {
  type DialectMessage,
  dialect,
  HEADER_SIZE,
  type MiningMessage,
  messageSets,
  type TemplateDistributionMessage,
} from "@adit/codec";
import { hex } from "../codec-peer.ts";

/** The payload of a message, hex. */
export function payloadOf(protocol: "mining" | "template_distribution", message: object): string {
  const encoded = dialect(protocol).encode(message as DialectMessage<typeof protocol>);
  return hex(encoded.subarray(HEADER_SIZE));
}

/** A message of the Mining Protocol by its name and its payload in hex. Throws CodecError. */
export function miningMessage<Name extends MiningMessage["name"]>(
  name: Name,
  payload: string,
): Extract<MiningMessage, { name: Name }> {
  return decoded("mining", name, payload) as Extract<MiningMessage, { name: Name }>;
}

/** A message of the Template Distribution Protocol by its name and its payload in hex. Throws CodecError. */
export function templateMessage<Name extends TemplateDistributionMessage["name"]>(
  name: Name,
  payload: string,
): Extract<TemplateDistributionMessage, { name: Name }> {
  return decoded("template_distribution", name, payload) as Extract<TemplateDistributionMessage, { name: Name }>;
}

function decoded(protocol: "mining" | "template_distribution", name: string, payload: string): object {
  const row = Object.values(messageSets[protocol].rows).find((each) => each.name === name);
  if (row === undefined) throw new Error(`${protocol} has no ${name}`);
  const { extensionType, channel: channelMsg, type: messageType } = row;
  const frame = { extensionType, channelMsg, messageType, payload: Uint8Array.from(Buffer.from(payload, "hex")) };
  const found = dialect(protocol).decode(frame);
  if (found.kind !== "message") throw new Error(`${name} was decoded as ${found.kind}`);
  return found.message;
}
