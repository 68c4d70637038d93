import type { Event } from "./meaning.ts";

/** A party that sends: what it may send next, given what it has sent. */
export interface Sender {
  /** What it and its peer have behind them when the history starts. */
  readonly before: readonly Event[];
  /** Every message it may send now. */
  next(sent: readonly Event[]): readonly Event[];
}

const GROUP = 90;
const OTHER_GROUP = 91;
const BEFORE: readonly Event[] = [
  { name: "OpenExtendedMiningChannelSuccess", id: 1, group: GROUP, value: 1 },
  { name: "NewExtendedMiningJob", id: GROUP, job: 1, future: true },
];

/** Where one side of a mining connection stands. */
interface Standing {
  readonly open: ReadonlySet<number>;
  readonly standard: ReadonlySet<number>;
  /** What a future job was addressed to, by the job's number. */
  readonly future: readonly { readonly id: number; readonly job: number }[];
  /** The next unused number, for channels, jobs and values. */
  readonly fresh: number;
}

function standingAfter(sent: readonly Event[]): Standing {
  const open = new Set<number>();
  const standard = new Set<number>();
  for (const { name, id = 0 } of sent) {
    if (name.startsWith("Open") && name.endsWith("ChannelSuccess")) open.add(id);
    if (name === "OpenStandardMiningChannelSuccess") standard.add(id);
    if (name === "CloseChannel") open.delete(id);
  }
  const future = sent.flatMap(({ id = 0, job = 0, future: waits }) =>
    waits === true && (id >= GROUP || open.has(id)) ? [{ id, job }] : [],
  );
  return { open, standard, future, fresh: sent.length + 1 };
}

/** A server of mining: it opens channels, groups them, gives work, answers, and sends nothing to a channel it has closed. */
export const miningServer: Sender = {
  before: BEFORE,
  next: (sent) => {
    const { open, standard, future, fresh } = standingAfter(sent);
    const toAll: readonly Event[] = [
      { name: "OpenStandardMiningChannelSuccess", id: fresh, group: GROUP, value: fresh },
      { name: "OpenExtendedMiningChannelSuccess", id: fresh, group: GROUP, value: fresh },
      { name: "OpenMiningChannelError" },
      { name: "NewExtendedMiningJob", id: GROUP, job: fresh, future: false },
      { name: "NewExtendedMiningJob", id: GROUP, job: fresh, future: true },
      { name: "SetTarget", id: GROUP, value: fresh },
      { name: "RequestExtensionsSuccess" },
      { name: "Reconnect" },
      { name: "unknown" },
      ...future.map(({ id, job }) => ({ name: "SetNewPrevHash", id, job })),
    ];
    const toOne = [...open].flatMap((id): readonly Event[] => [
      { name: "CloseChannel", id },
      { name: "ChannelEndpointChanged", id },
      { name: "SetGroupChannel", id: OTHER_GROUP, members: [id] },
      { name: "SetTarget", id, value: fresh },
      { name: "SetExtranoncePrefix", id, value: fresh },
      { name: "SubmitSharesSuccess", id },
      { name: "SubmitSharesError", id },
      { name: "UpdateChannelError", id },
      ...(standard.has(id)
        ? [{ name: "NewMiningJob", id, job: fresh, future: true }]
        : [
            { name: "SetCustomMiningJobSuccess", id, job: fresh },
            { name: "SetCustomMiningJobError", id },
          ]),
    ]);
    return [...toAll, ...toOne];
  },
};

/** A client of mining, with two channels open. */
export const miningClient: Sender = {
  before: [
    { name: "OpenExtendedMiningChannelSuccess", id: 1, group: GROUP, value: 1 },
    { name: "OpenStandardMiningChannelSuccess", id: 2, group: GROUP, value: 2 },
  ],
  next: (sent) => [
    { name: "RequestExtensions" },
    { name: "OpenStandardMiningChannel" },
    { name: "OpenExtendedMiningChannel" },
    { name: "unknown" },
    ...[...standingAfter(sent).open].flatMap((id): readonly Event[] => [
      { name: "CloseChannel", id },
      { name: "UpdateChannel", id },
      { name: id === 2 ? "SubmitSharesStandard" : "SubmitSharesExtended", id },
      { name: "SetCustomMiningJob", id },
    ]),
  ],
};

/** A template provider. */
export const templateProvider: Sender = {
  before: [{ name: "NewTemplate", id: 1 }],
  next: (sent) => [
    { name: "NewTemplate", id: sent.length + 1 },
    { name: "unknown" },
    ...sent
      .filter(({ name }) => name === "NewTemplate")
      .flatMap(({ id = 0 }): readonly Event[] => [
        { name: "RequestTransactionDataSuccess", id },
        { name: "RequestTransactionDataError", id },
      ]),
  ],
};
