import { mkdtemp, readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { metricsRegister, noReload, openLog, type RoleContext } from "@adit/role-kit";

/** A role's context for tests, and a folder for its files. */
export interface TestContext {
  readonly dir: string;
  readonly context: RoleContext<never>;
  /** What has been logged. */
  readonly log: () => Promise<string>;
}

/** A context whose folder is new, and whose log is in it unless another is named. */
export async function testContext(logFile?: string): Promise<TestContext> {
  const dir = await mkdtemp(join(tmpdir(), "adit-role-network-"));
  const file = logFile ?? join(dir, "log");
  const context: RoleContext<never> = {
    ...noReload,
    signal: new AbortController().signal,
    log: openLog({ role: "test", level: "debug", file }),
    metrics: metricsRegister(),
    now: () => Date.now(),
    ready: () => {},
    notReady: () => {},
    setStatus: () => {},
  };
  return { dir, context, log: () => readFile(file, "utf8") };
}
