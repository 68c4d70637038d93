import { existsSync } from "node:fs";
import { join } from "node:path";

/**
 * Path of a program built from test-e2e/interop. Throws when there is none: a test that needs it must not pass without.
 */
export function peerBinary(name: string): string {
  const directory = process.env["ADIT_INTEROP_BIN"];
  if (directory === undefined || directory === "") {
    throw new Error(`ADIT_INTEROP_BIN does not say where ${name} is: run these tests with pnpm test:interop`);
  }
  const path = join(directory, name);
  if (!existsSync(path)) throw new Error(`${path} is not built: run these tests with pnpm test:interop`);
  return path;
}
