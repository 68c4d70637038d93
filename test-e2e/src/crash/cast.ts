import { setTimeout as pause } from "node:timers/promises";
import { listensOn, poolToml, templateProviderToml, translatorToml, upstream } from "../harness/configs.ts";
import { Stage } from "../harness/stage.ts";
import type { TestRole } from "../harness/test-role.ts";
import type { Targets } from "../soak/messages.ts";
import { type Birth, type RoleName, roleNames } from "./plan.ts";

/** What `translatorToml` has the translator's channels credited to. */
export const TRANSLATOR_IDENTITY = "e2e";

/** Of each channel: enough for a commit to be under way at any moment. */
const SHARES_PER_MINUTE = 600;

/** The role processes. A role that is started again has the config, the folder and the addresses it had. */
export class Cast implements AsyncDisposable {
  readonly #stage: Stage;
  readonly #hashesPerBlock: number;
  /** The last process of each role, and the last that got as far as being ready. */
  readonly #roles = new Map<RoleName, TestRole>();
  readonly #ready = new Map<RoleName, TestRole>();

  private constructor(stage: Stage, hashesPerBlock: number) {
    this.#stage = stage;
    this.#hashesPerBlock = hashesPerBlock;
  }

  /** Starts all roles, each after some first starts that are cut short. */
  static async start(hashesPerBlock: number, births: readonly Birth[]): Promise<Cast> {
    const cast = new Cast(await Stage.open(), hashesPerBlock);
    try {
      for (const name of roleNames) {
        for (const { delayMs } of births.filter(({ role }) => role === name)) {
          const role = await cast.launch(name);
          await pause(delayMs);
          await role.crash();
        }
        await cast.launch(name);
        await cast.untilReady(name);
      }
      return cast;
    } catch (error) {
      await cast[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** The pool's share store. */
  get sharesPath(): string {
    return `${this.#stage.folder}/pool/shares.db`;
  }

  /** The template provider's chain. */
  get chainPath(): string {
    return `${this.#stage.folder}/template-provider/chain/blocks.dat`;
  }

  /** A folder for copies. */
  get folder(): string {
    return this.#stage.folder;
  }

  get translatorAddress(): string {
    return this.#known("translator").details.downstream_address;
  }

  get poolTargets(): Pick<Targets, "poolTcp" | "poolTicket" | "authority"> {
    const pool = this.#known("pool");
    return {
      poolTcp: pool.listener("tcp").address,
      poolTicket: pool.listener("iroh").ticket ?? "",
      authority: pool.details.authority_public_key,
    };
  }

  /** A role's last process. */
  get(name: RoleName): TestRole {
    const role = this.#roles.get(name);
    if (role === undefined) throw new Error(`no ${name} yet`);
    return role;
  }

  /** Starts a role without waiting for it. */
  async launch(name: RoleName): Promise<TestRole> {
    const role = await this.#stage.launch(name, (folder) => this.#toml(name, folder));
    this.#roles.set(name, role);
    return role;
  }

  /** Resolves when a role that was launched serves. Rejects when it has ended, or takes too long. */
  async untilReady(name: RoleName): Promise<void> {
    this.#ready.set(name, await this.get(name).ready());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stage[Symbol.asyncDispose]();
  }

  #known(name: RoleName): TestRole {
    const role = this.#ready.get(name);
    if (role === undefined) throw new Error(`${name} was never ready`);
    return role;
  }

  #toml(name: RoleName, folder: string): string {
    const before = name === "translator" ? undefined : this.#ready.get(name);
    const options = { logLevel: "info", ...(before === undefined ? {} : { listen: listensOn(before) }) };
    switch (name) {
      case "template-provider":
        return templateProviderToml(folder, { ...options, hashesPerBlock: this.#hashesPerBlock });
      case "pool":
        return poolToml(folder, this.#known("template-provider"), { ...options, sharesPerMinute: SHARES_PER_MINUTE });
      case "translator":
        return translatorToml(folder, [upstream(this.#known("pool"), "tcp")]);
      default:
        return name satisfies never;
    }
  }
}
