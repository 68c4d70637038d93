import { type Belongings, opened } from "../harness/belongings.ts";
import { Link } from "./link.ts";
import { cable, Namespace } from "./namespace.ts";
import { becomeRouter, type Mapping, readdress, remap } from "./router.ts";

/** Address of the host in the middle, where a relay can be. */
export const MIDDLE = "198.18.0.1";
/** Public addresses of the routers; the miner's has the first one at the start. */
const POOL_ROUTER = "198.51.100.2";
const MINER_ROUTER = ["203.0.113.2", "203.0.113.3"] as const;
/** Private addresses, and the UDP ports that roles bind there. */
const POOL = { address: "10.1.0.2", port: 4001 } as const;
const TRANSLATOR = { address: "10.2.0.2", port: 4002 } as const;
/** The counter of {@link DirectTraffic.fromOtherPorts}. */
const OTHER_PORTS = "other_ports";

/** What can differ from one internet to another. */
export interface InternetOptions {
  /** What the miner's router does with ports: keeps them unless told. The pool's does. */
  readonly minerMapping?: Mapping;
  /** Whether the pool's router hands the pool's port on, as operators set it up who expect visitors. */
  readonly poolForwards?: boolean;
  /** Whether UDP between the two routers is lost, from the start. */
  readonly udpBlocked?: boolean;
}

/** UDP datagrams that the routers have sent each other: no relay was between them. Blocked ones count. */
export interface DirectTraffic {
  /** From the miner's router, under its present address, to the pool's. */
  readonly up: number;
  readonly down: number;
  /** From the miner's router, under any address, and from another port than the translator's. */
  readonly fromOtherPorts: number;
}

/** A host of a private network: the UDP address it binds, and under which the world sees that. */
export interface Host {
  readonly place: Namespace;
  readonly udp: string;
  readonly external: string;
}

/** The namespaces of an internet. */
interface Places {
  readonly pool: Namespace;
  readonly poolRouter: Namespace;
  readonly middle: Namespace;
  readonly minerRouter: Namespace;
  readonly translator: Namespace;
}

/**
 * A small internet of namespaces. A pool and a translator are in a private network each, behind a router that translates
 * addresses. The network between the routers, where a relay can be, knows no way to a private address.
 *
 * ```
 * pool ── poolRouter ── middle ── link ── minerRouter ── translator
 * ```
 */
export class Internet implements AsyncDisposable {
  readonly pool: Host;
  readonly translator: Host;
  readonly middle: Namespace;
  /** The way between the miner's router and everything else. */
  readonly link: Link;
  readonly #places: Places;
  readonly #belongings: Belongings;
  #minerAddress: (typeof MINER_ROUTER)[number] = MINER_ROUTER[0];

  private constructor(places: Places, link: Link, belongings: Belongings) {
    this.#places = places;
    this.#belongings = belongings;
    this.middle = places.middle;
    this.link = link;
    this.pool = host(places.pool, POOL, POOL_ROUTER);
    this.translator = host(places.translator, TRANSLATOR, MINER_ROUTER[0]);
  }

  static async open({
    minerMapping = "keeps-ports",
    poolForwards,
    udpBlocked,
  }: InternetOptions = {}): Promise<Internet> {
    return await opened(async (belongings) => {
      const places = await found(belongings);
      const { pool, poolRouter, middle, minerRouter, translator } = places;
      await cable([pool, "lan"], [poolRouter, "lan"]);
      await cable([translator, "lan"], [minerRouter, "lan"]);
      await cable([middle, "pools"], [poolRouter, "wan"]);
      const link = belongings.own(await Link.open([middle, "miners"], [minerRouter, "wan"]));
      await number(places);
      await watch(middle);
      const forward = { port: POOL.port, to: POOL.address };
      await becomeRouter(poolRouter, { mapping: "keeps-ports", ...(poolForwards ? { forward } : {}) });
      await becomeRouter(minerRouter, { mapping: minerMapping });
      const internet = new Internet(places, link, belongings);
      if (udpBlocked) await internet.blockUdp();
      return internet;
    });
  }

  /** Loses all UDP between the routers from now on. What is said to and by the relay over TCP passes. */
  async blockUdp(): Promise<void> {
    await this.middle.nft("add rule ip internet weather meta l4proto udp drop");
  }

  /** Ends {@link blockUdp}. */
  async allowUdp(): Promise<void> {
    await this.middle.nft("flush chain ip internet weather");
  }

  /** What has gone between the routers so far. */
  async direct(): Promise<DirectTraffic> {
    const listed = JSON.parse(await this.middle.run(["nft", "--json", "list", "counters"])) as {
      readonly nftables: readonly { readonly counter?: { readonly name: string; readonly packets: number } }[];
    };
    const counters = listed.nftables.flatMap(({ counter }) => counter ?? []);
    const of = (wanted: string): number => counters.find(({ name }) => name === wanted)?.packets ?? 0;
    return {
      up: of(counterName("up", this.#minerAddress)),
      down: of(counterName("down", this.#minerAddress)),
      fromOtherPorts: of(OTHER_PORTS),
    };
  }

  /** Gives the miner's router another public address. Nobody is told: what is sent to the old one is lost. */
  async moveMiner(): Promise<void> {
    const to = MINER_ROUTER.find((address) => address !== this.#minerAddress) ?? this.#minerAddress;
    await readdress(this.#places.minerRouter, this.#minerAddress, to);
    this.#minerAddress = to;
  }

  /** Makes the miner's router forget its connections, and give other ports to what goes on. */
  async rebindMiner(): Promise<void> {
    await remap(this.#places.minerRouter, "random-ports");
    await readdress(this.#places.minerRouter, this.#minerAddress, this.#minerAddress);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#belongings[Symbol.asyncDispose]();
  }
}

async function found(belongings: Belongings): Promise<Places> {
  const namespace = async (role: string): Promise<Namespace> => belongings.own(await Namespace.create(role));
  return {
    pool: await namespace("pool"),
    poolRouter: await namespace("pool-router"),
    middle: await namespace("middle"),
    minerRouter: await namespace("miner-router"),
    translator: await namespace("translator"),
  };
}

function host(place: Namespace, { address, port }: typeof POOL | typeof TRANSLATOR, router: string): Host {
  return { place, udp: `${address}:${port}`, external: `${router}:${port}` };
}

/** Gives addresses and ways to all devices. */
async function number({ pool, poolRouter, middle, minerRouter, translator }: Places): Promise<void> {
  const device = (name: string, address: string): readonly string[] => [
    `addr add ${address}/24 dev ${name}`,
    `link set ${name} up`,
  ];
  await pool.ip(...device("lan", POOL.address), "route add default via 10.1.0.1");
  await poolRouter.ip(
    ...device("lan", "10.1.0.1"),
    ...device("wan", POOL_ROUTER),
    "route add default via 198.51.100.1",
  );
  await middle.ip(...device("pools", "198.51.100.1"), ...device("miners", "203.0.113.1"), `addr add ${MIDDLE} dev lo`);
  await minerRouter.ip(...device("lan", "10.2.0.1"), ...device("wan", MINER_ROUTER[0]), "route add default dev wan");
  await translator.ip(...device("lan", TRANSLATOR.address), "route add default via 10.2.0.1");
  await middle.forward();
}

/** Counts what goes between the routers, and has a place for rules that lose it. */
async function watch(middle: Namespace): Promise<void> {
  const names = MINER_ROUTER.flatMap((address) => [counterName("up", address), counterName("down", address)]);
  const rules = MINER_ROUTER.flatMap((address) => [
    `ip saddr ${address} ip daddr ${POOL_ROUTER} meta l4proto udp counter name ${counterName("up", address)}`,
    `ip saddr ${address} ip daddr ${POOL_ROUTER} udp sport != ${TRANSLATOR.port} counter name ${OTHER_PORTS}`,
    `ip saddr ${POOL_ROUTER} ip daddr ${address} meta l4proto udp counter name ${counterName("down", address)}`,
  ]);
  await middle.nft(`
    table ip internet {
      ${[...names, OTHER_PORTS].map((name) => `counter ${name} { }`).join("\n")}
      chain weather { }
      chain through {
        type filter hook forward priority filter
        ${rules.join("\n")}
        jump weather
      }
    }`);
}

function counterName(direction: string, minerAddress: string): string {
  return `${direction}_${minerAddress.replaceAll(".", "_")}`;
}
