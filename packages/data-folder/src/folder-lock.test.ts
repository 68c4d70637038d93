import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { lockFolder } from "./folder-lock.ts";

const holder = fileURLToPath(new URL("testing/holder.ts", import.meta.url));

let folder: string;
const children = new Set<ChildProcess>();

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "adit-data-"));
});
afterEach(async () => {
  for (const child of children) child.kill("SIGKILL");
  children.clear();
  await rm(folder, { recursive: true });
});

/** Another process that has locked the folder. */
async function otherHolder(): Promise<ChildProcess> {
  const child = fork(holder, [folder], { execArgv: ["--import", "tsx", "--conditions=@adit/source"] });
  children.add(child);
  await once(child, "message");
  return child;
}

describe("a data folder", () => {
  test("is made, locked until it is let go of, and locked again", async () => {
    const path = join(folder, "deep", "data");
    const lock = await lockFolder(path);
    expect(await readdir(path)).toEqual(["in-use.lock"]);
    await expect(lockFolder(path)).rejects.toMatchObject({ code: "data-path-in-use" });
    lock[Symbol.dispose]();
    using again = await lockFolder(path);
    expect(again.path).toBe(join(path, "in-use.lock"));
  });

  test("that another process holds is refused with advice, and free once that one was killed", async () => {
    const other = await otherHolder();
    await expect(lockFolder(folder)).rejects.toMatchObject({
      code: "data-path-in-use",
      message: `${folder} is in use by another process; stop that one, or give this one a data_path of its own`,
    });
    other.kill("SIGKILL");
    await once(other, "exit");
    using _mine = await lockFolder(folder);
  });

  test("is refused to others while this process holds it", async () => {
    using _mine = await lockFolder(folder);
    const child = fork(holder, [folder], {
      execArgv: ["--import", "tsx", "--conditions=@adit/source"],
      silent: true,
    });
    children.add(child);
    expect(await once(child, "exit")).toEqual([1, null]);
  });

  test("that is none is refused", async () => {
    const file = join(folder, "file");
    await writeFile(file, "");
    await expect(lockFolder(file)).rejects.toMatchObject({ code: "data-path-unusable" });
    await writeFile(
      join(folder, "in-use.lock"),
      "something else that is long enough to have a header of its own".repeat(3),
    );
    await expect(lockFolder(folder)).rejects.toMatchObject({ code: "data-path-unusable" });
  });
});
