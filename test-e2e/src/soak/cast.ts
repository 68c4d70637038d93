import { type Listen, listensOn, upstream } from "../harness/configs.ts";
import { Stage } from "../harness/stage.ts";
import type { TestRole } from "../harness/test-role.ts";
import type { Targets } from "./messages.ts";
import type { Plan } from "./plan.ts";
import { poolConfig, templateProviderConfig, translatorConfig } from "./role-configs.ts";

/** The parts of a run, by the names they have in the report. */
export type RoleName = "template-provider" | "pool" | "translator-tcp" | "translator-iroh";

/** All of them, upstream first. */
export const roleNames: readonly RoleName[] = ["template-provider", "pool", "translator-tcp", "translator-iroh"];

/** A role's present process. */
export interface Incarnation {
  readonly role: TestRole;
  /** Counts from 1 with each start. */
  readonly number: number;
}

/** The role processes of a run. Disposing ends them, whatever state they are in. */
export class Cast implements AsyncDisposable {
  readonly #stage: Stage;
  readonly #plan: Plan;
  readonly #roles = new Map<RoleName, Incarnation>();
  /** Those that are down on purpose. */
  readonly #down = new Set<RoleName>();

  private constructor(stage: Stage, plan: Plan) {
    this.#stage = stage;
    this.#plan = plan;
  }

  static async start(plan: Plan): Promise<Cast> {
    const cast = new Cast(await Stage.open(), plan);
    try {
      await cast.startTemplateProvider();
      await cast.startPool();
      await Promise.all([cast.#startTranslator("tcp"), cast.#startTranslator("iroh")]);
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

  get(name: RoleName): Incarnation {
    const found = this.#roles.get(name);
    if (found === undefined) throw new Error(`no ${name} yet`);
    return found;
  }

  /** Roles that ended without being told to. */
  crashed(): readonly RoleName[] {
    return roleNames.filter((name) => !this.#down.has(name) && this.#roles.get(name)?.role.isRunning === false);
  }

  isUp(name: RoleName): boolean {
    return !this.#down.has(name) && this.get(name).role.isRunning;
  }

  targets(): Targets {
    const pool = this.get("pool").role;
    return {
      sv1: {
        "sv1-via-tcp": this.get("translator-tcp").role.details.downstream_address,
        "sv1-via-iroh": this.get("translator-iroh").role.details.downstream_address,
      },
      poolTcp: pool.listener("tcp").address,
      poolTicket: pool.listener("iroh").ticket ?? "",
      authority: pool.details.authority_public_key,
    };
  }

  /** Takes a role down as a crash does, or politely; resolves to its exit code. */
  async takeDown(name: RoleName, how: "kill" | "stop"): Promise<number | null> {
    this.#down.add(name);
    const { role } = this.get(name);
    if (how === "stop") return await role.stop();
    await role.crash();
    return null;
  }

  /** Starts the template provider, where it was if there was one. */
  async startTemplateProvider(): Promise<void> {
    await this.#start("template-provider", "template-provider", (folder, listen) =>
      templateProviderConfig(folder, this.#plan, listen),
    );
  }

  /** Starts the pool, where it was if there was one. */
  async startPool(): Promise<void> {
    const provider = this.get("template-provider").role;
    await this.#start("pool", "pool", (folder, listen) => poolConfig(folder, { plan: this.#plan, provider, listen }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const name of roleNames) this.#down.add(name);
    await this.#stage[Symbol.asyncDispose]();
  }

  async #startTranslator(transport: "tcp" | "iroh"): Promise<void> {
    const entry = upstream(this.get("pool").role, transport);
    await this.#start(`translator-${transport}`, "translator", (folder) =>
      translatorConfig(folder, { plan: this.#plan, transport, entry }),
    );
  }

  async #start(
    name: RoleName,
    command: string,
    toml: (folder: string, listen: Listen | undefined) => string,
  ): Promise<void> {
    const before = this.#roles.get(name);
    const listen = before === undefined || command === "translator" ? undefined : listensOn(before.role);
    const role = await this.#stage.start(command, (folder) => toml(folder, listen), name);
    this.#roles.set(name, { role, number: (before?.number ?? 0) + 1 });
    this.#down.delete(name);
  }
}
