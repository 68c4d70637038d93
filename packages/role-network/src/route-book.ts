import type { KnownRoute } from "@adit/network-helpers";

/** A way to an upstream of the config, with numbers that last: see {@link RouteBook}. */
export interface NumberedRoute<Entry, Way> extends KnownRoute {
  /** The upstream's entry in the config. */
  readonly entry: Entry;
  /** Place of the entry in the config. */
  readonly place: number;
  /** How it is reached. */
  readonly way: Way;
}

/** Numbers of entries that are in the config no more which are remembered, for when they come back. */
const REMEMBERED = 64;
/** Keys of an entry that only say which ways to the upstream there are, and which is better. */
const WAY_KEYS: ReadonlySet<string> = new Set(["transport", "prefer"]);

/**
 * Numbers the ways to the upstreams in a config's `[[upstreams]]`, so that an `UpstreamChoice` knows them again when the
 * config changes (requirement A20). An entry is the same upstream wherever it stands in the list and whichever of its
 * transports are used; with any other key changed (address, key, account) it is another one. No number ever names two.
 */
export class RouteBook<Entry extends object, Way> {
  readonly #waysTo: (entry: Entry) => readonly Way[];
  readonly #upstreams = new Numbers();
  readonly #routes = new Numbers();

  /** `waysTo`: the ways to an upstream, the preferred one first; each is told from others by its JSON. */
  constructor(waysTo: (entry: Entry) => readonly Way[]) {
    this.#waysTo = waysTo;
  }

  /** The routes to these upstreams, in order of preference. Equal entries are upstreams of their own. */
  routesTo(entries: readonly Entry[]): readonly NumberedRoute<Entry, Way>[] {
    const seen = new Map<string, number>();
    const routes = entries.flatMap((entry, place) => {
      const identity = identityOf(entry);
      const nth = (seen.get(identity) ?? 0) + 1;
      seen.set(identity, nth);
      const upstream = this.#upstreams.of(`${nth} ${identity}`);
      return this.#waysTo(entry).map((way) => {
        return { id: this.#routes.of(`${upstream} ${JSON.stringify(way)}`), upstream, entry, place, way };
      });
    });
    this.#upstreams.forget(entries.length + REMEMBERED);
    this.#routes.forget(routes.length + REMEMBERED);
    return routes;
  }
}

/** Numbers for keys, counted from 0: a key keeps its number as long as it is remembered. */
class Numbers {
  /** The one that was asked for last comes last. */
  readonly #byKey = new Map<string, number>();
  #next = 0;

  of(key: string): number {
    const known = this.#byKey.get(key);
    const number = known ?? this.#next;
    if (known === undefined) this.#next += 1;
    this.#byKey.delete(key);
    this.#byKey.set(key, number);
    return number;
  }

  /** Forgets those that were not asked for longest until `most` are left. */
  forget(most: number): void {
    for (const key of this.#byKey.keys()) {
      if (this.#byKey.size <= most) return;
      this.#byKey.delete(key);
    }
  }
}

/** The same text for entries that are the same upstream: its keys in order, without those of {@link WAY_KEYS} in any table. */
function identityOf(entry: object): string {
  return JSON.stringify(entry, (_, value: unknown) => {
    if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
    const kept = Object.entries(value).filter(([key]) => !WAY_KEYS.has(key));
    return Object.fromEntries(kept.toSorted(([one], [other]) => (one < other ? -1 : 1)));
  });
}
