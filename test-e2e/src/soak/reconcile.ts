import { openSqliteStore } from "@adit/share-store";
import type { Cast } from "./cast.ts";
import type { GroupCounts, SeatCounts } from "./messages.ts";
import type { SoakStatus } from "./sampling.ts";
import { Causes } from "./tally.ts";

/** A translator's counts at the end. */
export interface TranslatorAccount {
  readonly accepted: number;
  readonly rejected: Readonly<Record<string, number>>;
  readonly submitted: number;
  readonly acknowledged: number;
  readonly unanswered: number;
  readonly rejectedUpstream: Readonly<Record<string, number>>;
}

/** What the store has of one user identity. */
export interface StoredAccount {
  readonly shares: number;
  readonly rejected: Readonly<Record<string, number>>;
}

/** The books of everyone but the miners' groups. */
export interface Accounts {
  readonly tcp: TranslatorAccount;
  readonly iroh: TranslatorAccount;
  /** The pool's counts since its last start. */
  readonly pool: { readonly accepted: number; readonly rejected: Readonly<Record<string, number>> };
  /** By user identity. */
  readonly store: ReadonlyMap<string, StoredAccount>;
  readonly seats: readonly SeatCounts[];
}

/** Reads the roles' counts. */
export async function readAccounts(cast: Cast): Promise<Omit<Accounts, "store" | "seats">> {
  const pool = await cast.get("pool").role.status();
  const translator = async (transport: "tcp" | "iroh"): Promise<TranslatorAccount> => {
    const status = (await cast.get(`translator-${transport}`).role.status()) as SoakStatus;
    return {
      accepted: status.shares_accepted,
      rejected: status.shares_rejected_by_reason,
      submitted: status.shares_submitted ?? 0,
      acknowledged: status.shares_acknowledged,
      unanswered: status.shares_unanswered ?? 0,
      rejectedUpstream: status.shares_rejected_upstream_by_reason ?? {},
    };
  };
  return {
    tcp: await translator("tcp"),
    iroh: await translator("iroh"),
    pool: { accepted: pool.shares_accepted, rejected: pool.shares_rejected_by_reason },
  };
}

/** Reads the store of a pool that has stopped. */
export async function readStore(path: string): Promise<ReadonlyMap<string, StoredAccount>> {
  await using store = await openSqliteStore({ path });
  const accounts = new Map<string, { shares: number; rejected: Causes }>();
  for (const { userIdentity, shares, rejects } of await store.workers()) {
    const account = accounts.get(userIdentity) ?? { shares: 0, rejected: new Causes() };
    account.shares += shares;
    account.rejected.addAll(rejects);
    accounts.set(userIdentity, account);
  }
  return new Map([...accounts].map(([name, { shares, rejected }]) => [name, { shares, rejected: rejected.record() }]));
}

/** Rejections that one kill of the pool may take with it before they are counted on disk. */
const LOST_PER_KILL = 50;

/** What the two ends of a count say, and by how much each may differ. */
interface Pair {
  readonly what: string;
  /** As the client saw it. */
  readonly client: number;
  readonly server: number;
  /** Answers that the client cannot know. */
  readonly unknown: number;
  /** What the server may have forgotten. */
  readonly forgotten?: number;
}

/** Every count that two sides have and that differs by more than what neither can know. Empty when the books agree. */
export function disagreements(
  accounts: Accounts,
  tallies: Readonly<Record<string, GroupCounts>>,
  kills: number,
): readonly string[] {
  return pairs(accounts, tallies, kills).flatMap(({ what, client, server, unknown, forgotten = 0 }) => {
    if (client > server + forgotten) return [`${what}: the client knows of ${client}, the server of ${server}`];
    if (server > client + unknown) return [`${what}: the server knows of ${server}, the client of ${client}`];
    return [];
  });
}

function pairs(accounts: Accounts, tallies: Readonly<Record<string, GroupCounts>>, kills: number): readonly Pair[] {
  const forgotten = kills * LOST_PER_KILL;
  const direct = ["sv2-tcp", "sv2-iroh"].map((group) => tallies[group]).filter((counts) => counts !== undefined);
  const uncertain = direct.reduce((sum, counts) => sum + counts.uncertain, 0);
  return [
    ...accounts.seats.filter(({ identity }) => identity.startsWith("sv2")).map((seat) => seatPair(seat, accounts)),
    ...reasonPairs("direct miners, rejected", {
      client: direct.map(({ rejected }) => rejected),
      server: [...accounts.store].filter(([name]) => name.startsWith("sv2")).map(([, { rejected }]) => rejected),
      unknown: uncertain,
      forgotten,
    }),
    ...(["tcp", "iroh"] as const).flatMap((transport) => [
      ...minersOf(transport, accounts, tallies),
      ...upstreamOf(transport, accounts, forgotten),
    ]),
  ];
}

function seatPair({ identity, acknowledged, uncertain }: SeatCounts, { store }: Accounts): Pair {
  const server = store.get(identity)?.shares ?? 0;
  return { what: `${identity}, acknowledged and stored`, client: acknowledged, server, unknown: uncertain };
}

function minersOf(
  transport: "tcp" | "iroh",
  accounts: Accounts,
  tallies: Readonly<Record<string, GroupCounts>>,
): readonly Pair[] {
  const counts = tallies[`sv1-via-${transport}`];
  const { accepted, rejected } = accounts[transport];
  if (counts === undefined) return [];
  const { acknowledged, uncertain: unknown } = counts;
  return [
    { what: `miners at translator-${transport}, accepted`, client: acknowledged, server: accepted, unknown },
    ...reasonPairs(`miners at translator-${transport}, rejected`, {
      client: [counts.rejected],
      server: [rejected],
      unknown,
      forgotten: 0,
    }),
  ];
}

function upstreamOf(transport: "tcp" | "iroh", accounts: Accounts, forgotten: number): readonly Pair[] {
  const { acknowledged, unanswered: unknown, rejectedUpstream } = accounts[transport];
  const stored = accounts.store.get(`translator-${transport}`) ?? { shares: 0, rejected: {} };
  const what = `translator-${transport} at the pool`;
  return [
    { what: `${what}, acknowledged and stored`, client: acknowledged, server: stored.shares, unknown },
    ...reasonPairs(`${what}, rejected`, {
      client: [rejectedUpstream],
      server: [stored.rejected],
      unknown,
      forgotten,
    }),
  ];
}

type ByReason = readonly Readonly<Record<string, number>>[];

function reasonPairs(
  what: string,
  sides: {
    readonly client: ByReason;
    readonly server: ByReason;
    readonly unknown: number;
    readonly forgotten: number;
  },
): readonly Pair[] {
  const { unknown, forgotten } = sides;
  const client = summed(sides.client);
  const server = summed(sides.server);
  return [...new Set([...Object.keys(client), ...Object.keys(server)])].map((reason) => ({
    what: `${what} as ${reason}`,
    client: client[reason] ?? 0,
    server: server[reason] ?? 0,
    unknown,
    forgotten,
  }));
}

function summed(counts: ByReason): Readonly<Record<string, number>> {
  const sum = new Causes();
  for (const record of counts) sum.addAll(record);
  return sum.record();
}
