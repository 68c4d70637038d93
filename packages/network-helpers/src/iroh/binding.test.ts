import { readdir, readFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { type Binding, loadBinding, loadIroh } from "./binding.ts";

test("nothing in this folder names a native call that aborts the process", async () => {
  const folder = new URL("./", import.meta.url);
  const files = (await readdir(folder, { recursive: true })).filter((file) => file.endsWith(".ts"));
  expect(files.length).toBeGreaterThan(10);
  for (const file of files) {
    const text = await readFile(new URL(file, folder), "utf8");
    expect(text.match(/\.watch[A-Z]\w*\s*\(|\.set[L]ogLevel|\bset[L]ogLevel\s*\(/g), file).toBeNull();
  }
});

test("the binding is loaded once, with its backtraces off before its first error", async () => {
  const iroh = await loadIroh();
  expect(process.env["RUST_LIB_BACKTRACE"]).toBe("0");
  expect(await loadIroh()).toBe(iroh);
  const { EndpointId } = iroh.binding;
  expect(() => EndpointId.fromString("nonsense")).toThrow(
    expect.not.objectContaining({ message: expect.stringContaining("backtrace") }),
  );
});

test("a package that is missing or has no native part is iroh-unavailable, naming the package and TCP", async () => {
  const missing = "@number0/iroh-for-no-platform";
  for (const load of [() => import(missing), () => Promise.resolve({})]) {
    await expect(loadBinding(load)).rejects.toMatchObject({
      name: "NetworkError",
      code: "iroh-unavailable",
      message: expect.stringMatching(/@number0\/iroh@1\.1\.0.*TCP/),
    });
  }
});

test("bytes go in as number arrays and come out as a plain copy", async () => {
  const { toNative, fromNative, nativeText } = await loadIroh();
  const bytes = new Uint8Array(8_192).map((_, index) => index);
  expect(toNative(bytes)).toEqual(Array.from(bytes));
  expect(fromNative(Array.from(bytes))).toEqual(bytes);
  expect(fromNative(nativeText("sv2-m"))).toEqual(new TextEncoder().encode("sv2-m"));
});

test("a later binding that takes and gives Uint8Array is recognised", async () => {
  const onlyBytes = { SecretKey: { fromBytes: (bytes: unknown) => accept(bytes) } } as unknown as Binding;
  const { toNative, fromNative } = await loadBinding(() => Promise.resolve(onlyBytes));
  const bytes = Uint8Array.of(1, 2, 3);
  expect(toNative(bytes)).toBeInstanceOf(Uint8Array);
  const copy = fromNative(bytes);
  bytes[0] = 9;
  expect(copy).toEqual(Uint8Array.of(1, 2, 3));
});

function accept(bytes: unknown): void {
  if (!(bytes instanceof Uint8Array)) throw new Error("bytes only");
}
