import { join } from "node:path";
import { freePort } from "../harness/free-port.ts";
import type { Stage } from "../harness/stage.ts";
import type { TestRole } from "../harness/test-role.ts";
import { type AuthorityKeys, ReferenceRole } from "./reference-role.ts";
import { type ServedChannels, servedChannels } from "./served-channels.ts";

/** Shares that their pool acknowledges at once. */
export const BATCH = 4;
const SHARES_PER_MINUTE = 240;
const REWARD = "addr(bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080)";

/** Their pool as it is started, and started again at the same address. */
export class ReferencePool {
  readonly authority: AuthorityKeys;
  /** TCP port of miners. */
  readonly port: number;
  readonly #monitoring: number;
  readonly #provider: TestRole;
  readonly #folder: string;
  #role: ReferenceRole | undefined;

  private constructor(
    stage: Stage,
    options: PoolOptions,
    ports: { readonly mining: number; readonly monitoring: number },
  ) {
    this.authority = options.authority;
    this.port = ports.mining;
    this.#monitoring = ports.monitoring;
    this.#provider = options.provider;
    this.#folder = join(stage.folder, "reference-pool");
  }

  static async open(stage: Stage, options: PoolOptions): Promise<ReferencePool> {
    return new ReferencePool(stage, options, { mining: await freePort(), monitoring: await freePort() });
  }

  get role(): ReferenceRole {
    if (this.#role === undefined) throw new Error("their pool was not started");
    return this.#role;
  }

  async start(): Promise<ReferenceRole> {
    const monitoring = `127.0.0.1:${this.#monitoring}`;
    this.#role = await ReferenceRole.start("pool", { folder: this.#folder, monitoring, toml: this.#toml(monitoring) });
    return this.#role;
  }

  /** Every open channel, of every client. */
  async channels(): Promise<ServedChannels> {
    return await servedChannels(`127.0.0.1:${this.#monitoring}`);
  }

  /** What one of our clients is told to find it by. */
  upstream(authority: string = this.authority.public): string {
    return `address = "127.0.0.1"\nport = ${this.port}\nauthority_pubkey = "${authority}"\n`;
  }

  #toml(monitoring: string): string {
    return `
authority_public_key = "${this.authority.public}"
authority_secret_key = "${this.authority.secret}"
cert_validity_sec = 3600
listen_address = "127.0.0.1:${this.port}"
coinbase_reward_script = "${REWARD}"
server_id = 1
pool_signature = "reference"
shares_per_minute = ${SHARES_PER_MINUTE}.0
share_batch_size = ${BATCH}
supported_extensions = [0x0002]
monitoring_address = "${monitoring}"
monitoring_cache_refresh_secs = 1

[template_provider_type.Sv2Tp]
address = "${this.#provider.listener("tcp").address}"
public_key = "${this.#provider.details.authority_public_key}"
`;
  }
}

interface PoolOptions {
  readonly provider: TestRole;
  readonly authority: AuthorityKeys;
}
