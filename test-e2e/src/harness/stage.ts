import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { TestRole } from "./test-role.ts";

/** A folder and the processes of one scenario. Disposing it ends every process, whatever state it is in. */
export class Stage implements AsyncDisposable {
  readonly folder: string;
  readonly #roles: TestRole[] = [];
  readonly #preload: readonly string[];

  private constructor(folder: string, preload: readonly string[]) {
    this.folder = folder;
    this.#preload = preload;
  }

  /** `preload`: modules that every process loads first. */
  static async open(preload: readonly string[] = []): Promise<Stage> {
    return new Stage(await mkdtemp(join(tmpdir(), "adit-e2e-")), preload);
  }

  /** Starts a role in a folder of its own, which `toml` is told. A role started again under its name finds its files. */
  async launch(name: string, toml: (folder: string) => string, as: string = name): Promise<TestRole> {
    const folder = join(this.folder, as);
    await mkdir(folder, { recursive: true });
    const config = join(folder, "config.toml");
    await writeFile(config, toml(folder));
    const role = new TestRole(name, { config, log: join(folder, `${name}.log`), preload: this.#preload });
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
