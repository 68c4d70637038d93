import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const root = fileURLToPath(new URL("../..", import.meta.url));

/** What docs/architecture.md says each package may import. Tests may use more. */
const mayImport: Record<string, readonly string[]> = {
  "packages/token-bucket": [],
  "packages/codec": [],
  "packages/noise": ["@noble/*", "@scure/*"],
  "packages/bitcoin": ["@noble/hashes", "@scure/*"],
  "packages/fast-crypto": ["@adit/noise", "@adit/bitcoin", "sodium-native", "tiny-secp256k1"],
  "packages/channels": ["@adit/codec", "@adit/bitcoin", "@adit/token-bucket"],
  "packages/sv1": ["@adit/bitcoin", "@adit/token-bucket", "zod"],
  "packages/network-helpers": [
    "@adit/codec",
    "@adit/noise",
    "@adit/token-bucket",
    "@noble/curves",
    "@scure/base",
    "@number0/iroh",
    "dns-packet",
    "zod",
  ],
  "packages/bitcoin-node": ["@adit/bitcoin", "undici", "zeromq", "zod"],
  "packages/share-store": ["kysely", "libsql"],
  "packages/data-folder": ["libsql"],
  "packages/role-kit": ["pino", "pino-pretty", "prom-client", "zod", "smol-toml", "fastify", "fastest-levenshtein"],
  "packages/role-network": ["@adit/*", "zod"],
  "packages/mining-shell": [
    "@adit/bitcoin",
    "@adit/channels",
    "@adit/codec",
    "@adit/network-helpers",
    "@adit/noise",
    "@adit/role-kit",
    "@adit/role-network",
    "zod",
  ],
  "packages/role-nodes": ["@adit/bitcoin", "@adit/bitcoin-node", "@adit/role-kit"],
  "packages/job-declarator": ["@adit/*", "zod"],
  "roles/pool": ["@adit/*", "zod"],
  "roles/translator": ["@adit/*", "zod"],
  "roles/jd-server": ["@adit/*", "zod"],
  "roles/jd-client": ["@adit/*", "zod"],
  "roles/template-provider": ["@adit/*", "zod"],
  "roles/mining-device": ["@adit/*", "zod", "tsx"],
  "roles/adit": ["@adit/*", "tsx", "zod"],
};

const roleNames = [
  "@adit/jd-client",
  "@adit/jd-server",
  "@adit/pool",
  "@adit/translator",
  "@adit/template-provider",
  "@adit/mining-device",
  "@adit/adit",
];

interface Manifest {
  readonly dependencies?: Record<string, string>;
  readonly optionalDependencies?: Record<string, string>;
}

function dependenciesOf(folder: string): readonly string[] {
  const manifest = JSON.parse(readFileSync(join(root, folder, "package.json"), "utf8")) as Manifest;
  return Object.keys({ ...manifest.dependencies, ...manifest.optionalDependencies });
}

function folders(): readonly string[] {
  return ["packages", "roles"].flatMap((group) => readdirSync(join(root, group)).map((name) => `${group}/${name}`));
}

test("every package has its row in the table of directions", () => {
  expect(folders().toSorted()).toEqual(Object.keys(mayImport).toSorted());
});

test.each(folders())("%s depends on nothing that the architecture forbids", (folder) => {
  const allowed = mayImport[folder] ?? [];
  const matches = (name: string): boolean =>
    allowed.some((pattern) => pattern === name || (pattern.endsWith("/*") && name.startsWith(pattern.slice(0, -1))));
  expect(dependenciesOf(folder).filter((name) => !matches(name))).toEqual([]);
});

test.each(folders().filter((folder) => folder !== "roles/adit"))("%s imports no role", (folder) => {
  expect(dependenciesOf(folder).filter((name) => roleNames.includes(name))).toEqual([]);
});

test("node:* in network-helpers is imported under src/tcp and src/iroh only", () => {
  const source = join(root, "packages/network-helpers/src");
  const files = readdirSync(source, { recursive: true, encoding: "utf8" }).filter(
    (file) => file.endsWith(".ts") && !file.endsWith(".test.ts") && !/(^|\/)testing\//.test(file),
  );
  const importing = files.filter((file) => /from "node:/.test(readFileSync(join(source, file), "utf8")));
  expect(importing.filter((file) => !/^(tcp|iroh)\//.test(file))).toEqual([]);
  expect(importing.length).toBeGreaterThan(0);
});

test("the Iroh binding is imported under src/iroh only, and none of its aborting calls is used", () => {
  for (const folder of folders()) {
    const source = join(root, folder, "src");
    for (const file of readdirSync(source, { recursive: true, encoding: "utf8" })) {
      if (!file.endsWith(".ts")) continue;
      const text = readFileSync(join(source, file), "utf8");
      if (!(folder === "packages/network-helpers" && file.startsWith("iroh/"))) {
        expect(text.includes('import("@number0/iroh'), `${folder}/${file}`).toBe(false);
      }
    }
  }
});
