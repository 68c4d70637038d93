import { expect } from "vitest";
import { type Belongings, opened } from "../harness/belongings.ts";
import { poolToml, templateProviderToml, translatorToml } from "../harness/configs.ts";
import { MINER } from "../harness/declaring-farm.ts";
import { Stage } from "../harness/stage.ts";
import type { ConnectionStatus, RoleStatus } from "../harness/status.ts";
import { Sv1Miner } from "../harness/sv1-miner.ts";
import type { TestRole } from "../harness/test-role.ts";
import { until } from "../harness/until.ts";
import { expectExact, type Losses, settled } from "./books.ts";
import { Internet, type InternetOptions } from "./internet.ts";
import { RELAY_URL, Relay } from "./relay.ts";

/** No block is found, so that no share is late. */
const NEVER = 2 ** 44;

/** What can differ from one scene to another. */
export interface NatSceneOptions extends InternetOptions {
  /** Endpoint id of who may call the translator; nobody unless told. */
  readonly operator?: string;
}

/** A pool and a translator behind a router each, who know of each other by endpoint id and relay, and a miner at work. */
export class NatScene implements AsyncDisposable {
  readonly internet: Internet;
  readonly relay: Relay;
  readonly pool: TestRole;
  readonly translator: TestRole;
  readonly miner: Sv1Miner;
  readonly #store: string;
  readonly #belongings: Belongings;

  private constructor(
    parts: Pick<NatScene, "internet" | "relay" | "pool" | "translator" | "miner">,
    store: string,
    belongings: Belongings,
  ) {
    this.internet = parts.internet;
    this.relay = parts.relay;
    this.pool = parts.pool;
    this.translator = parts.translator;
    this.miner = parts.miner;
    this.#store = store;
    this.#belongings = belongings;
  }

  /** Resolves when the pool credits the miner's shares. */
  static async open(options: NatSceneOptions = {}): Promise<NatScene> {
    return await opened(async (belongings) => {
      const internet = belongings.own(await Internet.open(options));
      const poolSide = belongings.own(await Stage.open([], internet.pool.place));
      const minerSide = belongings.own(await Stage.open([], internet.translator.place));
      const relay = belongings.own(await Relay.start(internet.middle, poolSide.folder));
      const pool = await startPool(poolSide, internet);
      const translator = await startTranslator(minerSide, internet, { pool, operator: options.operator });
      const { downstream_address } = translator.details;
      const socket = await internet.translator.place.connect(Number(downstream_address.split(":").at(-1)));
      const miner = belongings.own(Sv1Miner.on(socket, MINER.triesAtOnce));
      const store = `${poolSide.folder}/pool/shares.db`;
      const scene = new NatScene({ internet, relay, pool, translator, miner }, store, belongings);
      await scene.shares(2);
      return scene;
    });
  }

  /** The translator's connection to the pool. */
  async upstream(): Promise<ConnectionStatus> {
    return only((await this.translator.status()).connections, "upstream");
  }

  /** The same connection, as the pool sees it. */
  async downstream(): Promise<ConnectionStatus> {
    return only((await this.pool.status()).connections, "downstream");
  }

  /** Resolves when both ends say that their connection takes this path. */
  async takes(path: "direct" | "relay", timeoutMs?: number): Promise<void> {
    await until(
      `the path is ${path}`,
      async () => (await this.upstream()).path === path && (await this.downstream()).path === path,
      timeoutMs,
    );
  }

  /** Resolves when the pool has acknowledged so many shares more. */
  async shares(more: number): Promise<void> {
    const acknowledged = async (): Promise<number> => (await this.translator.status()).shares_acknowledged;
    const before = await acknowledged();
    await until(`${more} shares more are acknowledged`, async () => (await acknowledged()) >= before + more);
  }

  /** Resolves when the miner has found so many shares more than now, whoever hears of them. */
  async submits(more: number): Promise<void> {
    const before = this.miner.submitted;
    await until(`${more} shares more are found`, () => this.miner.submitted >= before + more);
  }

  /** Resolves when the miner's side has tried so many times more to reach the pool's without the relay. */
  async attempts(more: number): Promise<void> {
    const { up } = await this.internet.direct();
    await until(`${more} attempts at a direct path`, async () => (await this.internet.direct()).up >= up + more);
  }

  /**
   * Ends the scene: the miner is still on the socket it had at the start, and the books of all agree. Resolves to the
   * translator's last status.
   */
  async expectExact(losses?: Losses): Promise<RoleStatus> {
    const { miner, translator, pool } = this;
    miner.rest();
    const status = await settled(miner, async () => await translator.status());
    expect(miner.isConnected).toBe(true);
    expect(status.miners).toHaveLength(1);
    const books = { status: await pool.status(), store: this.#store };
    expect(await translator.stop()).toBe(0);
    expect(await pool.stop()).toBe(0);
    await expectExact({ miner, translator: { status, log: translator.logLines() }, pool: books }, losses);
    return status;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#belongings[Symbol.asyncDispose]();
  }
}

async function startPool(stage: Stage, { pool }: Internet): Promise<TestRole> {
  const templateProvider = await stage.start("template-provider", (folder) =>
    templateProviderToml(folder, { hashesPerBlock: NEVER, listen: { tcp: "127.0.0.1:0", udp: ["127.0.0.1:0"] } }),
  );
  const options = {
    listen: { tcp: "127.0.0.1:0", udp: [pool.udp] },
    meeting: { relayUrl: RELAY_URL, externalAddresses: [pool.external] },
    shareBatchSize: 1,
  };
  return await stage.start("pool", (folder) => poolToml(folder, templateProvider, options));
}

/** The translator is told the pool's endpoint id and its relay, and no address. */
async function startTranslator(
  stage: Stage,
  { translator }: Internet,
  { pool, operator }: { readonly pool: TestRole; readonly operator: string | undefined },
): Promise<TestRole> {
  const entry = `transport = "iroh"
endpoint_id = "${pool.details.endpoint_id}"
relay_url = "${RELAY_URL}"
authority_pubkey = "${pool.details.authority_public_key}"
`;
  const options = {
    hashrate: MINER.hashrate,
    udp: [translator.udp],
    meeting: { relayUrl: RELAY_URL, externalAddresses: [translator.external] },
  };
  const rpc = operator === undefined ? "" : `\n[rpc]\nallowed_peers = ["${operator}"]\n`;
  return await stage.start("translator", (folder) => `${translatorToml(folder, [entry], options)}${rpc}`);
}

function only(connections: readonly ConnectionStatus[], direction: "upstream" | "downstream"): ConnectionStatus {
  const found = connections.filter(
    (connection) => connection.direction === direction && connection.transport === "iroh",
  );
  const [connection] = found;
  if (connection === undefined || found.length > 1) throw new Error(`${found.length} connections, 1 is expected`);
  return connection;
}
