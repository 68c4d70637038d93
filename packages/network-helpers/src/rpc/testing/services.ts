import { z } from "zod";
import { RpcError } from "../rpc-error.ts";
import { call, service, stream } from "../service.ts";
import { type CallReport, implement, ServiceTable } from "../service-table.ts";

/** A service with a method for each thing that can happen. */
export const testService = service({
  name: "test",
  methods: {
    add: call({ input: z.object({ a: z.number(), b: z.number() }), output: z.number() }),
    echo: call({ input: z.string(), output: z.string() }),
    hang: call({ input: z.null(), output: z.null() }),
    refuse: call({ input: z.null(), output: z.null() }),
    fail: call({ input: z.null(), output: z.null() }),
    lie: call({ input: z.null(), output: z.object({ kept: z.boolean() }) }),
    count: stream({
      input: z.object({ to: z.int(), filler: z.int().default(0) }),
      output: z.object({ n: z.int(), filler: z.string() }),
    }),
    wait: stream({ input: z.null(), output: z.null() }),
  },
});

/** A served {@link testService}, and what became of it. */
export interface TestServices {
  readonly table: ServiceTable;
  readonly reports: CallReport[];
  /** Items that `count` has made. */
  counted: number;
  /** Why handlers were aborted. */
  readonly aborts: unknown[];
}

/** Serves {@link testService}. */
export function testServices(): TestServices {
  const reports: CallReport[] = [];
  const services: TestServices = { table: new ServiceTable([], () => undefined), reports, counted: 0, aborts: [] };
  const untilAborted = async (signal: AbortSignal): Promise<never> => {
    await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
    services.aborts.push(signal.reason);
    throw signal.reason as Error;
  };
  const served = implement(testService, {
    add: ({ a, b }) => a + b,
    echo: (text) => text,
    hang: (_input, { signal }) => untilAborted(signal),
    refuse: () => {
      throw new RpcError("not-supported", "there is nothing behind it");
    },
    fail: () => {
      throw new Error("a secret of the server");
    },
    lie: () => ({ kept: "no" }) as never,
    count: async function* ({ to, filler }) {
      for (let n = 0; n < to; n += 1) {
        services.counted += 1;
        yield { n, filler: "x".repeat(filler) };
      }
    },
    wait: async function* (_input, { signal }) {
      yield null;
      await untilAborted(signal);
    },
  });
  return Object.assign(services, { table: new ServiceTable([served], (report) => reports.push(report)) });
}
