import { metricsRegister, noReload, openLog, type RoleContext } from "@adit/role-kit";

/** A role's context for tests, and what the role did with it. */
export interface TestContext {
  readonly context: RoleContext<never>;
  /** Details of each `ready`. */
  readonly ready: Record<string, unknown>[];
  readonly notReady: string[];
  readonly status: () => unknown;
  readonly stop: () => void;
}

/** A context whose log goes to a file. */
export function testContext(role: string, logFile: string): TestContext {
  const controller = new AbortController();
  const ready: Record<string, unknown>[] = [];
  const notReady: string[] = [];
  let status = (): unknown => ({});
  const context: RoleContext<never> = {
    signal: controller.signal,
    log: openLog({ role, level: "debug", file: logFile }),
    metrics: metricsRegister(),
    now: () => Date.now(),
    ready: (details) => void ready.push(details),
    notReady: (reason) => void notReady.push(reason),
    ...noReload,
    setStatus: (provider) => {
      status = provider;
    },
  };
  return {
    context,
    ready,
    notReady,
    status: () => status(),
    stop: () => controller.abort(new Error("the test is over")),
  };
}
