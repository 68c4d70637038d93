/** A channel as the reference implementation's monitoring shows it to the pool. */
export interface ServedChannel {
  readonly user_identity: string;
  readonly shares_accepted: number;
  readonly shares_rejected: number;
  readonly shares_rejected_by_reason: Readonly<Record<string, number>>;
  readonly blocks_found: number;
}

interface ChannelsPage {
  readonly extended_channels: readonly ServedChannel[];
  readonly standard_channels: readonly ServedChannel[];
}

/** Every open channel of a reference pool's clients, by kind. */
export interface ServedChannels {
  readonly extended: readonly ServedChannel[];
  readonly standard: readonly ServedChannel[];
}

/** The reasons why shares were refused, but for the one that a new block alone gives: a share and a tip crossed. */
export function dishonestReasons(rejected: Readonly<Record<string, number>>): readonly string[] {
  return Object.keys(rejected).filter((reason) => reason !== "stale-share");
}

/** Asks a reference pool's monitoring, by its `host:port`. */
export async function servedChannels(monitoring: string): Promise<ServedChannels> {
  const { items } = await ask<{ readonly items: readonly { readonly client_id: number }[] }>(
    monitoring,
    "/api/v1/clients?limit=100",
  );
  const pages = await Promise.all(
    items.map(({ client_id: id }) => ask<ChannelsPage>(monitoring, `/api/v1/clients/${id}/channels?limit=100`)),
  );
  return {
    extended: pages.flatMap(({ extended_channels }) => extended_channels),
    standard: pages.flatMap(({ standard_channels }) => standard_channels),
  };
}

/** A document of a reference role's monitoring. */
export async function ask<T>(monitoring: string, path: string): Promise<T> {
  const response = await fetch(`http://${monitoring}${path}`, { signal: AbortSignal.timeout(10_000) });
  if (!response.ok) throw new Error(`${path} answers ${response.status}`);
  return (await response.json()) as T;
}
