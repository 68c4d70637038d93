import { STR0_255, U8, U16, U32 } from "../fields.ts";
import { defineMessages, type MessageOf } from "../message-set.ts";

/** Messages that every sub-protocol shares (spec 3.6). */
export const common = defineMessages(0, {
  SetupConnection: {
    type: 0x00,
    channel: false,
    section: "3.6.1",
    sender: "client",
    fields: {
      protocol: U8,
      minVersion: U16,
      maxVersion: U16,
      flags: U32,
      endpointHost: STR0_255,
      endpointPort: U16,
      vendor: STR0_255,
      hardwareVersion: STR0_255,
      firmware: STR0_255,
      deviceId: STR0_255,
    },
  },
  SetupConnectionSuccess: {
    type: 0x01,
    channel: false,
    section: "3.6.2",
    sender: "server",
    fields: { usedVersion: U16, flags: U32 },
  },
  SetupConnectionError: {
    type: 0x02,
    channel: false,
    section: "3.6.3",
    sender: "server",
    fields: { flags: U32, errorCode: STR0_255 },
  },
  ChannelEndpointChanged: {
    type: 0x03,
    channel: true,
    section: "3.6.4",
    sender: "server",
    fields: { channelId: U32 },
  },
  Reconnect: {
    type: 0x04,
    channel: false,
    section: "3.6.5",
    sender: "server",
    fields: { newHost: STR0_255, newPort: U16 },
  },
});

/** Any message of any sub-protocol. */
export type CommonMessage = MessageOf<typeof common>;
/** `SetupConnection`, spec 3.6.1. */
export type SetupConnection = MessageOf<typeof common, "SetupConnection">;
/** `SetupConnection.Success`, spec 3.6.2. */
export type SetupConnectionSuccess = MessageOf<typeof common, "SetupConnectionSuccess">;
/** `SetupConnection.Error`, spec 3.6.3. */
export type SetupConnectionError = MessageOf<typeof common, "SetupConnectionError">;
/** `ChannelEndpointChanged`, spec 3.6.4. */
export type ChannelEndpointChanged = MessageOf<typeof common, "ChannelEndpointChanged">;
/** `Reconnect`, spec 3.6.5. */
export type Reconnect = MessageOf<typeof common, "Reconnect">;
