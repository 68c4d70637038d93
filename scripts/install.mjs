// Makes a fresh clone ready to run: pnpm at the pinned version in .tools, then the dependencies of the lock file.
// Everything goes to standard error, so that a command's own output stays clean. Plain JavaScript, as it runs before
// anything is installed.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";

export const root = fileURLToPath(new URL("..", import.meta.url));
const tools = join(root, ".tools");
const stampFile = join(root, "node_modules", ".adit-installed");

const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
const pinned = manifest.packageManager;

/** The environment in which pnpm, turbo and every installed command are found. */
export function toolEnvironment() {
  const path = [join(root, "node_modules", ".bin"), join(tools, "node_modules", ".bin"), process.env.PATH];
  return { ...process.env, PATH: path.join(delimiter) };
}

/** Runs a command to its end; a failure ends this process with its exit code. */
export function run(command, args, options = {}) {
  const result = spawnSync(command, args, { cwd: root, env: toolEnvironment(), stdio: "inherit", ...options });
  if (result.error !== undefined) fail(`${command} could not be started: ${result.error.message}`);
  if (result.status !== 0) process.exit(result.status ?? 1);
}

/** Installs what is missing or out of date; does nothing in well under a second otherwise. */
export function install() {
  const [major, minor] = process.versions.node.split(".").map(Number);
  if (major < 20 || (major === 20 && minor < 19))
    fail(`Node ${process.versions.node} is too old: 20.19 or newer is needed`);
  const stamp = currentStamp();
  if (existsSync(stampFile) && readFileSync(stampFile, "utf8") === stamp) return;
  installPnpm();
  const toStderr = { stdio: ["ignore", 2, 2] };
  run("pnpm", ["install", "--frozen-lockfile", "--config.confirm-modules-purge=false"], toStderr);
  writeFileSync(stampFile, stamp);
}

function installPnpm() {
  const [name, version] = pinned.split("@");
  const installed = join(tools, "node_modules", name, "package.json");
  if (existsSync(installed) && JSON.parse(readFileSync(installed, "utf8")).version === version) return;
  const args = ["install", "--prefix", tools, "--no-save", "--no-package-lock", "--no-audit", "--no-fund", pinned];
  run("npm", args, { stdio: ["ignore", 2, 2] });
}

function currentStamp() {
  const hash = createHash("sha256").update(`${pinned} ${process.platform} ${process.arch}\n`);
  for (const file of ["pnpm-lock.yaml", "pnpm-workspace.yaml"]) hash.update(readFileSync(join(root, file)));
  return hash.digest("hex");
}

function fail(message) {
  process.stderr.write(`${message}\n`);
  process.exit(1);
}
