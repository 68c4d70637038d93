// Installs and builds the Bitcoin node software that tests run against, outside of the checkout: in the folder that
// ADIT_NODE_CACHE names or ~/.cache/adit/node. What is there already is left alone.
import { spawnSync } from "node:child_process";
import { createHash, randomUUID } from "node:crypto";
import { copyFileSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { root } from "./install.mjs";

const BTCD = "github.com/btcsuite/btcd@v0.26.0";

const bcoinManifest = join(root, "test-e2e", "node");
const kernelWorkspace = join(root, "test-e2e", "kernel");
const cache =
  process.env.ADIT_NODE_CACHE || join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "adit", "node");

/**
 * Installs bcoin as its lock file says, without compiling anything: its native parts are optional. Returns the folder.
 *
 * @throws Error that says what to do, when npm cannot.
 */
export function installBcoin() {
  const files = ["package.json", "package-lock.json"].map((name) => join(bcoinManifest, name));
  const hash = createHash("sha256");
  for (const file of files) hash.update(readFileSync(file));
  const folder = join(cache, `bcoin-${hash.digest("hex").slice(0, 16)}`);
  if (existsSync(folder)) return folder;
  // In a folder of its own until it is complete: another run may be installing too, and either may be interrupted.
  const unfinished = join(cache, `unfinished-${randomUUID()}`);
  mkdirSync(unfinished, { recursive: true });
  try {
    copyFileSync(files[0], join(unfinished, "package.json"));
    copyFileSync(files[1], join(unfinished, "package-lock.json"));
    const failure = fails("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund"], { cwd: unfinished });
    if (failure !== undefined) {
      throw new Error(
        `${failure}. Tests against a Bitcoin node need bcoin from the npm registry: run this again online`,
      );
    }
    moveUnlessThere(unfinished, folder);
    return folder;
  } finally {
    rmSync(unfinished, { recursive: true, force: true });
  }
}

function moveUnlessThere(from, to) {
  try {
    renameSync(from, to);
  } catch (error) {
    if (!existsSync(to)) throw error;
  }
}

/** What `work` returns, for a command: its failure ends this process with what to do. */
export function orExit(work) {
  try {
    return work();
  } catch (error) {
    process.stderr.write(`${error.message}\n`);
    return process.exit(1);
  }
}

/**
 * Builds btcd. Returns its path as `program`, or as `missing` what the machine lacks to build it.
 *
 * @throws Error when it has that and the build fails all the same: a skipped test would hide it.
 */
export function buildBtcd() {
  if (!isThere("go", "version")) return { missing: "btcd needs Go to be built: see https://go.dev/dl" };
  const folder = join(cache, BTCD.split("/").at(-1));
  const program = join(folder, "btcd");
  if (existsSync(program)) return { program };
  const failure = fails("go", ["install", BTCD], { env: { ...process.env, GOBIN: folder, GOFLAGS: "" } });
  if (failure !== undefined) throw new Error(failure);
  return { program };
}

/** Builds the program of test-e2e/kernel; otherwise as {@link buildBtcd}. */
export function buildKernel() {
  if (!isThere("cargo", "--version"))
    return { missing: "Bitcoin Core's kernel needs cargo to be built: see https://rustup.rs" };
  const lacking = installKernelNeeds();
  if (lacking !== undefined) return { missing: lacking };
  const target = join(cache, "kernel-target");
  const options = { cwd: kernelWorkspace, env: { ...process.env, CARGO_TARGET_DIR: target } };
  const failure = fails("cargo", ["build", "--quiet", "--locked"], options);
  if (failure !== undefined) throw new Error(failure);
  return { program: join(target, "debug", "kernel-replay") };
}

/** Bitcoin Core is built with CMake and Boost's headers. Root on Debian gets them; others are told how. */
function installKernelNeeds() {
  if (hasKernelNeeds()) return undefined;
  const apt = (args) => fails("apt-get", args) === undefined;
  if (process.getuid?.() === 0 && isThere("apt-get", "--version") && apt(["update", "-qq"])) {
    apt(["install", "-y", "-qq", "--no-install-recommends", "cmake", "g++", "libboost-dev"]);
  }
  if (hasKernelNeeds()) return undefined;
  return "Bitcoin Core's kernel needs CMake and Boost to be built: on Debian, apt-get install cmake g++ libboost-dev";
}

function hasKernelNeeds() {
  const prefixes = ["/usr", "/usr/local", "/opt/homebrew"];
  return isThere("cmake", "--version") && prefixes.some((prefix) => existsSync(join(prefix, "include", "boost")));
}

function isThere(command, question) {
  return spawnSync(command, [question], { stdio: "ignore" }).status === 0;
}

/** Runs a command, its output on standard error. Returns what went wrong, if anything. */
function fails(command, args, options = {}) {
  process.stderr.write(`== ${command} ${args.join(" ")}\n`);
  const { status, error } = spawnSync(command, args, { ...options, stdio: ["ignore", 2, 2] });
  if (error !== undefined) return `${command} could not be started: ${error.message}`;
  return status === 0 ? undefined : `${command} ${args.join(" ")} failed; what it said stands above`;
}
