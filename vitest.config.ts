import { defineConfig } from "vitest/config";

const conditions = ["@adit/source", "module", "node", "import", "default"];

export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions } },
  test: {
    setupFiles: ["./vitest.setup.ts"],
    projects: [
      {
        extends: true,
        test: {
          name: "unit",
          include: ["{packages,roles}/*/src/**/*.test.ts", "bench/src/**/*.test.ts"],
          testTimeout: 30_000,
          sequence: { groupOrder: 0 },
        },
      },
      {
        extends: true,
        test: {
          name: "e2e",
          include: ["test-e2e/src/**/*.test.ts"],
          exclude: ["test-e2e/src/interop/**", "**/*.node.test.ts", "**/*.nat.test.ts"],
          globalSetup: ["./scripts/bcoin-setup.mjs"],
          testTimeout: 120_000,
          hookTimeout: 60_000,
          fileParallelism: false,
          // After the unit tests: whole processes share the machine with nothing else.
          sequence: { groupOrder: 1 },
        },
      },
      {
        extends: true,
        test: {
          name: "interop",
          include: ["test-e2e/src/interop/**/*.test.ts"],
          testTimeout: 300_000,
          hookTimeout: 120_000,
          fileParallelism: false,
          sequence: { groupOrder: 2 },
        },
      },
      {
        extends: true,
        test: {
          name: "node",
          include: ["test-e2e/src/node/**/*.node.test.ts"],
          globalSetup: ["./scripts/bcoin-setup.mjs"],
          testTimeout: 300_000,
          hookTimeout: 120_000,
          fileParallelism: false,
          sequence: { groupOrder: 3 },
        },
      },
      {
        extends: true,
        test: {
          name: "nat",
          include: ["test-e2e/src/nat/**/*.nat.test.ts"],
          globalSetup: ["./test-e2e/src/nat/setup.ts"],
          testTimeout: 180_000,
          hookTimeout: 60_000,
          maxWorkers: 2,
          sequence: { groupOrder: 4 },
        },
      },
    ],
  },
});
