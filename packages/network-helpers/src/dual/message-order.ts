import { type MessageProtocol, messageSets } from "@adit/codec";

/** The two streams of a dual connection. */
export type StreamName = "control" | "data";

/** The other one. */
export const otherStream: Readonly<Record<StreamName, StreamName>> = { control: "data", data: "control" };

/**
 * Messages that the order treats alike, and the stream they take:
 *
 * - `barrier` changes what any message means; `opened`, `grouped` and `closed` change who a message to a group is for;
 *   `template` names what later answers are about; `leave` sends the client elsewhere; `request` changes nothing by itself.
 * - `group-job` may be addressed to a group of channels, `channel-job` to one channel only; `share` and `result` are
 *   shares and what became of them; `bulk` are answers of any length that stand for themselves.
 */
export const classStream = {
  barrier: "control",
  opened: "control",
  grouped: "control",
  closed: "control",
  template: "control",
  leave: "control",
  request: "control",
  "group-job": "data",
  "channel-job": "data",
  share: "data",
  result: "data",
  bulk: "data",
} as const satisfies Readonly<Record<string, StreamName>>;

/** One of the classes. */
export type OrderClass = keyof typeof classStream;

/** Where a message of each class stands: the classes of the other stream that it does not overtake. */
export type OrderRules = Readonly<Record<OrderClass, readonly OrderClass[]>>;

const ALL_DATA = ["group-job", "channel-job", "share", "result", "bulk"] as const;

/**
 * The order between the streams. Within a stream nothing overtakes anything. Why each rule is there, by the
 * specification's sections, is in docs/dual-stream.md; a test shows that none can be left out and that none is missing.
 */
export const orderRules: OrderRules = {
  barrier: ALL_DATA,
  opened: ["group-job"],
  grouped: ["group-job"],
  closed: ["group-job", "channel-job", "share", "result"],
  template: [],
  leave: ["group-job", "channel-job", "result"],
  request: [],
  "group-job": ["barrier", "opened", "grouped", "closed"],
  "channel-job": ["barrier", "opened"],
  share: ["barrier"],
  result: ["barrier", "opened"],
  bulk: ["barrier", "template"],
};

/** The protocols that can travel on two streams, and what they share. */
export const orderedProtocols = ["common", "extensions_negotiation", "mining", "template_distribution"] as const;

/** The class of every message of those protocols, beside the codec's tables. */
export const messageClasses: Readonly<Record<(typeof orderedProtocols)[number], Readonly<Record<string, OrderClass>>>> =
  {
    common: {
      SetupConnection: "barrier",
      SetupConnectionSuccess: "barrier",
      SetupConnectionError: "barrier",
      ChannelEndpointChanged: "barrier",
      Reconnect: "leave",
    },
    extensions_negotiation: {
      RequestExtensions: "barrier",
      RequestExtensionsSuccess: "barrier",
      RequestExtensionsError: "barrier",
    },
    mining: {
      OpenStandardMiningChannel: "request",
      OpenStandardMiningChannelSuccess: "opened",
      OpenMiningChannelError: "request",
      OpenExtendedMiningChannel: "request",
      OpenExtendedMiningChannelSuccess: "opened",
      NewMiningJob: "channel-job",
      UpdateChannel: "request",
      UpdateChannelError: "request",
      CloseChannel: "closed",
      SetExtranoncePrefix: "channel-job",
      SubmitSharesStandard: "share",
      SubmitSharesExtended: "share",
      SubmitSharesSuccess: "result",
      SubmitSharesError: "result",
      NewExtendedMiningJob: "group-job",
      SetNewPrevHash: "group-job",
      SetTarget: "group-job",
      SetCustomMiningJob: "share",
      SetCustomMiningJobSuccess: "group-job",
      SetCustomMiningJobError: "channel-job",
      SetGroupChannel: "grouped",
    },
    template_distribution: {
      CoinbaseOutputConstraints: "request",
      NewTemplate: "template",
      SetNewPrevHash: "template",
      RequestTransactionData: "request",
      RequestTransactionDataSuccess: "bulk",
      RequestTransactionDataError: "bulk",
      SubmitSolution: "request",
    },
  };

/**
 * The class of a message by its numbers. A message of an extension that is not in the table, and a number nobody knows, is
 * a `barrier`: what it changes cannot be told, so it keeps its place among everything.
 */
export function classOf({ extensionType, messageType }: MessageNumbers): OrderClass {
  return classByNumber.get(numberOf(extensionType, messageType)) ?? "barrier";
}

/** The part of a frame's header that names its message. */
export interface MessageNumbers {
  readonly extensionType: number;
  readonly messageType: number;
}

const classByNumber: ReadonlyMap<number, OrderClass> = new Map(
  orderedProtocols.flatMap((protocol: MessageProtocol & (typeof orderedProtocols)[number]) =>
    Object.values(messageSets[protocol].rows).flatMap(({ name, extensionType, type }) => {
      const found = messageClasses[protocol][name];
      return found === undefined ? [] : [[numberOf(extensionType, type), found] as const];
    }),
  ),
);

function numberOf(extensionType: number, messageType: number): number {
  return extensionType * 256 + messageType;
}
