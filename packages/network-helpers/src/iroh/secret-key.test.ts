import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { base32nopad, hex } from "@scure/base";
import { expect, test } from "vitest";
import { loadOrCreateSecretKey } from "./secret-key.ts";

async function folder(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), "adit-key-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true }) };
}

const key = new Uint8Array(32).map((_, index) => 255 - index);

test("a missing key file is made with its folder, private, and read back the same", async () => {
  await using dir = await folder();
  const path = join(dir.path, "a", "b", "iroh.key");
  const made = await loadOrCreateSecretKey(path, {});
  expect(made.length).toBe(32);
  expect((await stat(path)).mode & 0o777).toBe(0o600);
  expect((await stat(join(dir.path, "a"))).mode & 0o777).toBe(0o700);
  expect(await readdir(join(dir.path, "a", "b"))).toEqual(["iroh.key"]);
  expect(await loadOrCreateSecretKey(path, {})).toEqual(made);
  expect(await loadOrCreateSecretKey(join(dir.path, "other.key"), {})).not.toEqual(made);
});

test("starts at the same time end up with one key", async () => {
  await using dir = await folder();
  const path = join(dir.path, "iroh.key");
  const keys = await Promise.all(Array.from({ length: 20 }, () => loadOrCreateSecretKey(path, {})));
  expect(new Set(keys.map((made) => hex.encode(made))).size).toBe(1);
  expect(await readdir(dir.path)).toEqual(["iroh.key"]);
});

test.each([
  ["32 raw bytes", key],
  ["64 hex digits", hex.encode(key)],
  ["upper-case hex with white space", `  ${hex.encode(key).toUpperCase()}\r\n`],
])("a key file of %s is accepted", async (_, content) => {
  await using dir = await folder();
  const path = join(dir.path, "iroh.key");
  await writeFile(path, content, { mode: 0o600 });
  expect(await loadOrCreateSecretKey(path, {})).toEqual(key);
});

test.each([0o640, 0o604, 0o660, 0o777])("a key file of mode %o is refused", async (mode) => {
  await using dir = await folder();
  const path = join(dir.path, "iroh.key");
  await writeFile(path, hex.encode(key));
  await chmod(path, mode);
  await expect(loadOrCreateSecretKey(path, {})).rejects.toMatchObject({ code: "invalid-config" });
});

test.each(["", "short", hex.encode(key).slice(1), `${hex.encode(key)}00`])(
  "a key file that holds %j is refused and left as it is",
  async (content) => {
    await using dir = await folder();
    const path = join(dir.path, "iroh.key");
    await writeFile(path, content, { mode: 0o600 });
    await expect(loadOrCreateSecretKey(path, {})).rejects.toMatchObject({ code: "invalid-config" });
    expect(await readFile(path, "utf8")).toBe(content);
  },
);

test("a folder where the file should be is an error of the node, not a new identity", async () => {
  await using dir = await folder();
  await expect(loadOrCreateSecretKey(dir.path, {})).rejects.toMatchObject({ name: "NetworkError" });
});

test("IROH_SECRET wins, as hex or base32, and no file is made", async () => {
  await using dir = await folder();
  const path = join(dir.path, "iroh.key");
  expect(await loadOrCreateSecretKey(path, { IROH_SECRET: hex.encode(key) })).toEqual(key);
  expect(await loadOrCreateSecretKey(path, { IROH_SECRET: base32nopad.encode(key).toLowerCase() })).toEqual(key);
  expect(await readdir(dir.path)).toEqual([]);
});

test("an IROH_SECRET that is no key is refused without being repeated", async () => {
  await using dir = await folder();
  const secret = hex.encode(key).slice(2);
  const error = await loadOrCreateSecretKey(join(dir.path, "k"), { IROH_SECRET: secret }).catch(
    (error: unknown) => error,
  );
  expect(error).toMatchObject({ code: "invalid-config" });
  expect(String(error)).not.toContain(secret.slice(0, 8));
});
