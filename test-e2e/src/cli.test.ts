import { mkdtemp, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { authorityPublicKey, decodeAuthorityPublicKey, decodeAuthoritySecretKey } from "@adit/noise";
import { version } from "@adit/role-kit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { runAdit } from "./harness/command.ts";

let scratch: string;

beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), "adit-cli-"));
});

afterAll(async () => {
  await rm(scratch, { recursive: true });
});

describe.concurrent("adit keys generate", () => {
  test("prints a new pair that belongs together", async () => {
    const { code, stdout, stderr } = await runAdit(["keys", "generate"]);
    const [, publicKey = "", secretKey = ""] =
      /^authority_public_key = "(\w+)"\nauthority_secret_key = "(\w+)"\n$/.exec(stdout) ?? [];
    expect(decodeAuthorityPublicKey(publicKey)).toEqual(authorityPublicKey(decodeAuthoritySecretKey(secretKey)));
    expect([code, stderr]).toEqual([0, ""]);
  });

  test("keeps the secret in a file for its owner only, prints it nowhere, and never overwrites it", async () => {
    const file = join(scratch, "authority.key");
    const first = await runAdit(["keys", "generate", "--out", file]);
    expect(first.code).toBe(0);
    const kept = await readFile(file, "utf8");
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect(first.stdout + first.stderr).not.toContain(kept.trim());
    const second = await runAdit(["keys", "generate", "--out", file]);
    expect(second.code).toBe(1);
    expect(second.stderr).toContain("never overwritten");
    expect(await readFile(file, "utf8")).toBe(kept);
  });

  test("says in one line why a file cannot be written", async () => {
    const { code, stderr } = await runAdit(["keys", "generate", "--out", join(scratch, "nowhere", "key")]);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^adit keys generate: ENOENT.*\n$/);
  });
});

describe.concurrent("adit", () => {
  test.each([{ args: [] }, { args: ["help"] }, { args: ["--help"] }, { args: ["-h"] }])(
    "shows its commands: $args",
    async ({ args }) => {
      const { code, stdout } = await runAdit(args);
      for (const command of [
        "pool",
        "translator",
        "template-provider",
        "mining-device",
        "watch",
        "demo",
        "keys",
        "config",
      ]) {
        expect(stdout).toContain(`adit ${command}`);
      }
      expect(code).toBe(0);
    },
  );

  test.each([{ args: ["--version"] }, { args: ["-V"] }, { args: ["pool", "--version"] }])(
    "tells its version: $args",
    async ({ args }) => {
      expect(await runAdit(args)).toMatchObject({ code: 0, stdout: `${version}\n` });
    },
  );

  test.each([
    [["stratum"], "there is no command stratum"],
    [["keys"], "expected one of: generate"],
    [["keys", "lose"], "expected one of: generate"],
    [["keys", "constructor"], "expected one of: generate"],
    [["config"], "expected one of: check"],
    [["config", "check"], "usage:"],
    [["config", "check", "x.toml", "--role", "cook"], "usage:"],
    [["pool", "--bogus"], "Unknown option '--bogus'"],
    [["keys", "generate", "--bogus"], "Unknown option '--bogus'"],
    [["config", "check", "x.toml", "--bogus"], "Unknown option '--bogus'"],
    [["demo", "--bogus"], "Unknown option '--bogus'"],
    [["demo", "--blocks", "0"], "--blocks takes a whole number above 0"],
    [["demo", "--blocks", "two"], "--blocks takes a whole number above 0"],
    [["demo", "--timeout", "-1"], "--timeout"],
  ])("refuses %j without a stack trace, with exit code 2", async (args, complaint) => {
    const { code, stdout, stderr } = await runAdit(args);
    expect(stderr).toContain(complaint);
    expect(stderr).not.toMatch(/^ +at /m);
    expect([code, stdout]).toEqual([2, ""]);
  });

  test("refuses to run a role without the file it is given, and says what to do", async () => {
    const { code, stderr } = await runAdit(["pool", "-c", join(scratch, "absent.toml")]);
    expect(stderr).toContain("absent.toml: no such file; give the path of a TOML file with -c");
    expect(code).toBe(2);
  });
});
