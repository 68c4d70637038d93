import { SEQ0_64K, U16 } from "../fields.ts";
import { defineMessages, type MessageOf } from "../message-set.ts";
import { EXTENSIONS_NEGOTIATION } from "../tlv.ts";

/** Messages of extension 0x0001, extensions negotiation. */
export const extensionsNegotiation = defineMessages(EXTENSIONS_NEGOTIATION, {
  RequestExtensions: {
    type: 0x00,
    channel: false,
    section: "2",
    sender: "client",
    fields: { requestId: U16, requestedExtensions: SEQ0_64K(U16) },
  },
  RequestExtensionsSuccess: {
    type: 0x01,
    channel: false,
    section: "2",
    sender: "server",
    fields: { requestId: U16, supportedExtensions: SEQ0_64K(U16) },
  },
  RequestExtensionsError: {
    type: 0x02,
    channel: false,
    section: "2",
    sender: "server",
    fields: { requestId: U16, unsupportedExtensions: SEQ0_64K(U16), requiredExtensions: SEQ0_64K(U16) },
  },
});

/** Any message of extension 0x0001. */
export type ExtensionsNegotiationMessage = MessageOf<typeof extensionsNegotiation>;
/** `RequestExtensions`, extension 0x0001 section 2. */
export type RequestExtensions = MessageOf<typeof extensionsNegotiation, "RequestExtensions">;
/** `RequestExtensions.Success`, extension 0x0001 section 2. */
export type RequestExtensionsSuccess = MessageOf<typeof extensionsNegotiation, "RequestExtensionsSuccess">;
/** `RequestExtensions.Error`, extension 0x0001 section 2. */
export type RequestExtensionsError = MessageOf<typeof extensionsNegotiation, "RequestExtensionsError">;
