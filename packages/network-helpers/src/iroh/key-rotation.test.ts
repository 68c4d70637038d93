import { chmod, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { hex } from "@scure/base";
import { describe, expect, test } from "vitest";
import { endpointIdOf } from "./endpoint-id.ts";
import { endRotation, formerKeyOf, loadIdentityKeys, rotateKey } from "./key-rotation.ts";
import { loadOrCreateSecretKey } from "./secret-key.ts";
import { startChild } from "./testing/spawn.ts";

const DAY = 86_400_000;
const NOW = Date.UTC(2026, 10, 28);
const overlap = { overlapMs: 30 * DAY, now: NOW };

/** A folder with a key file. */
async function scene() {
  const folder = await mkdtemp(join(tmpdir(), "adit-rotation-"));
  const path = join(folder, "iroh.key");
  const id = endpointIdOf(await loadOrCreateSecretKey(path, {}));
  return { folder, path, id, [Symbol.asyncDispose]: () => rm(folder, { recursive: true }) };
}

async function idOf(path: string): Promise<string> {
  return endpointIdOf(await loadOrCreateSecretKey(path, {}));
}

describe("a rotation", () => {
  test("puts a new key in place, keeps the former one beside it with its end, and both to their owner", async () => {
    await using at = await scene();
    const rotation = await rotateKey(at.path, overlap);
    expect(rotation.endpointId).toBe(await idOf(at.path));
    expect(rotation.endpointId).not.toBe(at.id);
    expect(rotation.former).toEqual({ endpointId: at.id, until: NOW + 30 * DAY });
    expect(await readdir(at.folder)).toEqual(["iroh.key", "iroh.key.former"]);
    for (const file of await readdir(at.folder)) expect((await stat(join(at.folder, file))).mode & 0o777).toBe(0o600);
    const keys = await Promise.all((await readdir(at.folder)).map((file) => readFile(join(at.folder, file), "utf8")));
    for (const key of keys) expect(JSON.stringify(rotation)).not.toContain(key.slice(0, 64));
  });

  test("takes a key of raw bytes, too", async () => {
    await using at = await scene();
    const raw = new Uint8Array(32).fill(7);
    await writeFile(at.path, raw);
    await rotateKey(at.path, overlap);
    expect((await formerKeyOf(at.path))?.secretKey).toEqual(raw);
  });

  test("is found at a start during the overlap, and gone at the first one after it", async () => {
    await using at = await scene();
    const { endpointId } = await rotateKey(at.path, overlap);
    const during = await loadIdentityKeys(at.path, { env: {}, now: NOW + 30 * DAY - 1 });
    expect([endpointIdOf(during.secretKey), during.former?.endpointId]).toEqual([endpointId, at.id]);
    const after = await loadIdentityKeys(at.path, { env: {}, now: NOW + 30 * DAY });
    expect([after.former, after.ended]).toEqual([undefined, at.id]);
    expect(await readdir(at.folder)).toEqual(["iroh.key"]);
  });

  test("means nothing to a node whose key comes from the environment", async () => {
    await using at = await scene();
    await rotateKey(at.path, overlap);
    const env = { IROH_SECRET: "11".repeat(32) };
    const keys = await loadIdentityKeys(at.path, { env, now: NOW });
    expect([hex.encode(keys.secretKey), keys.former]).toEqual(["11".repeat(32), undefined]);
  });

  test("cannot follow on another that is not over, and can once it is, or was ended", async () => {
    await using at = await scene();
    const first = await rotateKey(at.path, overlap);
    await expect(rotateKey(at.path, overlap)).rejects.toMatchObject({
      code: "invalid-config",
      message: expect.stringMatching(/answered until 2026-12-28T00:00:00.000Z; end that first with --finish/),
    });
    expect(await idOf(at.path)).toBe(first.endpointId);
    expect(await endRotation(at.path)).toMatchObject({ endpointId: at.id });
    expect(await endRotation(at.path)).toBeUndefined();
    const second = await rotateKey(at.path, { overlapMs: 1000, now: NOW });
    expect(second.former.endpointId).toBe(first.endpointId);
    expect((await rotateKey(at.path, { ...overlap, now: NOW + 1000 })).former.endpointId).toBe(second.endpointId);
  });

  test("that was broken off has changed nothing for a node, and is completed by the next one", async () => {
    await using at = await scene();
    const key = await readFile(at.path, "utf8");
    await writeFile(`${at.path}.next`, `${"22".repeat(32)}\n`, { mode: 0o600 });
    await writeFile(`${at.path}.former`, `${key}until 2026-12-28T00:00:00.000Z\n`, { mode: 0o600 });
    const started = await loadIdentityKeys(at.path, { env: {}, now: NOW });
    expect([endpointIdOf(started.secretKey), started.former]).toEqual([at.id, undefined]);
    const rotation = await rotateKey(at.path, overlap);
    expect(rotation.former.endpointId).toBe(at.id);
    expect(rotation.endpointId).not.toBe(endpointIdOf(new Uint8Array(32).fill(0x22)));
    expect(await readdir(at.folder)).toEqual(["iroh.key", "iroh.key.former"]);
  });

  test("leaves the last key in place or beside the new one, whenever it is killed", { timeout: 60_000 }, async () => {
    await using at = await scene();
    for (let round = 0; round < 5; round += 1) {
      await using child = await startChild("rotate", { ROTATED: at.path });
      const ids = [child.firstLine];
      for await (const line of createInterface({ input: child.process.stdout })) {
        ids.push(line);
        if (ids.length === 3 + 7 * round) child.process.kill("SIGKILL");
      }
      const last = ids.at(-1);
      const current = await idOf(at.path);
      const former = await formerKeyOf(at.path);
      expect(current === last || former?.endpointId === last).toBe(true);
      expect((await readdir(at.folder)).filter((file) => file.endsWith(".tmp")).length).toBeLessThanOrEqual(1 + round);
    }
  });

  test("is refused for no key, a link, and former keys that others can read or that are none", async () => {
    await using at = await scene();
    await expect(rotateKey(join(at.folder, "none"), overlap)).rejects.toThrow("there is no key to rotate");
    await symlink(at.path, join(at.folder, "link"));
    await expect(rotateKey(join(at.folder, "link"), overlap)).rejects.toThrow("symbolic link");
    await writeFile(`${at.path}.former`, "nonsense", { mode: 0o600 });
    await expect(rotateKey(at.path, overlap)).rejects.toThrow("holds no former Iroh key");
    await expect(loadIdentityKeys(at.path, { env: {}, now: NOW })).rejects.toMatchObject({ code: "invalid-config" });
    await chmod(`${at.path}.former`, 0o644);
    await expect(rotateKey(at.path, overlap)).rejects.toThrow("others can access");
    expect(await idOf(at.path)).toBe(at.id);
  });
});
