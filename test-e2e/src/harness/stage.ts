import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Place } from "./place.ts";
import { TestRole } from "./test-role.ts";

/** A folder and the processes of one scenario. Disposing it ends every process, whatever state it is in. */
export class Stage implements AsyncDisposable {
  readonly folder: string;
  readonly #roles: TestRole[] = [];
  readonly #preload: readonly string[];
  readonly #place: Place | undefined;

  private constructor(folder: string, preload: readonly string[], place: Place | undefined) {
    this.folder = folder;
    this.#preload = preload;
    this.#place = place;
  }

  /** `preload`: modules that every process loads first. `place`: where the processes run, here unless told. */
  static async open(preload: readonly string[] = [], place?: Place): Promise<Stage> {
    return new Stage(await mkdtemp(join(tmpdir(), "adit-e2e-")), preload, place);
  }

  /** Starts a role in a folder of its own, which `toml` is told. A role started again under its name finds its files. */
  async launch(name: string, toml: (folder: string) => string, as: string = name): Promise<TestRole> {
    const folder = join(this.folder, as);
    await mkdir(folder, { recursive: true });
    const config = join(folder, "config.toml");
    await writeFile(config, toml(folder));
    const log = join(folder, `${name}.log`);
    const role = new TestRole(name, { config, log, preload: this.#preload, place: this.#place });
    this.#roles.push(role);
    return role;
  }

  /** {@link launch}, and waits until the role serves. */
  async start(name: string, toml: (folder: string) => string, as: string = name): Promise<TestRole> {
    return await (await this.launch(name, toml, as)).ready();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#roles.filter((role) => role.isRunning).map((role) => role.crash()));
    await rm(this.folder, { recursive: true, force: true });
  }
}
