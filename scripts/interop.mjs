// `pnpm test:interop`: builds programs of the reference implementation's libraries (test-e2e/interop) and its roles
// from crates.io, and runs the tests that meet them. What is built is kept outside of the checkout, in the folder that
// ADIT_INTEROP_CACHE names or ~/.cache/adit/interop. Needs cargo. Ends as `npm test` does.
import { spawnSync } from "node:child_process";
import { cpSync, existsSync, readdirSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { install, root } from "./install.mjs";
import { runTests } from "./run-tests.mjs";

const workspace = join(root, "test-e2e", "interop");
const cache =
  process.env.ADIT_INTEROP_CACHE || join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "adit", "interop");
const roleFolder = join(cache, "roles");

/** Roles are built to be there soon, not to be fast. */
const roleProfile = {
  CARGO_PROFILE_RELEASE_LTO: "off",
  CARGO_PROFILE_RELEASE_CODEGEN_UNITS: "16",
  CARGO_PROFILE_RELEASE_OPT_LEVEL: "1",
  CARGO_PROFILE_RELEASE_DEBUG: "0",
};

function isThere(command) {
  return spawnSync(command, ["--version"], { stdio: "ignore" }).status === 0;
}

function fail(message) {
  process.stderr.write(`${message}\n`);
  process.exit(1);
}

function cargo(args, target, environment = {}) {
  process.stderr.write(`== cargo ${args.join(" ")}\n`);
  const env = { ...process.env, CARGO_TARGET_DIR: join(cache, target), ...environment };
  const { status } = spawnSync("cargo", args, { cwd: workspace, env, stdio: ["ignore", 2, 2] });
  if (status !== 0) fail(`cargo ${args.join(" ")} failed; what it said stands above`);
}

/** Whether the Cap'n Proto compiler and the files that schemas import are there. */
function hasCapnp() {
  const prefixes = ["/usr", "/usr/local", "/opt/homebrew"];
  return isThere("capnp") && prefixes.some((prefix) => existsSync(join(prefix, "include", "capnp", "c++.capnp")));
}

/** Building the reference pool compiles Cap'n Proto schemas. Root on Debian gets what that takes; others are told how. */
function installCapnp() {
  if (hasCapnp()) return;
  const apt = (args) => spawnSync("apt-get", args, { stdio: ["ignore", 2, 2] }).status === 0;
  if (process.getuid?.() === 0 && isThere("apt-get")) {
    process.stderr.write("== installing capnproto, which building pool_sv2 takes\n");
    if (apt(["update", "-qq"])) apt(["install", "-y", "-qq", "--no-install-recommends", "capnproto", "libcapnp-dev"]);
  }
  if (hasCapnp()) return;
  fail("pnpm test:interop needs Cap'n Proto to build pool_sv2: on Debian, apt-get install capnproto libcapnp-dev");
}

function installRole(name, version, ...flags) {
  const args = ["install", "--quiet", "--locked", ...flags, "--root", roleFolder, `${name}@${version}`];
  cargo(args, "roles-target", roleProfile);
}

/** Keeps the example files of a role beside its program. Cargo has them as long as it keeps the source. */
function keepExamples(name, version) {
  const kept = join(roleFolder, "config-examples", `${name}-${version}`);
  if (existsSync(kept)) return true;
  const sources = join(process.env.CARGO_HOME || join(homedir(), ".cargo"), "registry", "src");
  for (const registry of existsSync(sources) ? readdirSync(sources) : []) {
    const examples = join(sources, registry, `${name}-${version}`, "config-examples");
    if (!existsSync(examples)) continue;
    cpSync(examples, kept, { recursive: true });
    return true;
  }
  return false;
}

function installRoles() {
  const roles = Object.entries(JSON.parse(readFileSync(join(workspace, "roles.json"), "utf8")));
  for (const [name, version] of roles) {
    installRole(name, version);
    if (keepExamples(name, version)) continue;
    installRole(name, version, "--force");
    if (!keepExamples(name, version)) fail(`${name} ${version} has no config-examples`);
  }
}

if (!isThere("cargo")) {
  fail(
    "pnpm test:interop needs cargo to build the reference implementation, and there is none on the PATH: see https://rustup.rs",
  );
}
install();
installCapnp();
cargo(["build", "--quiet", "--locked"], "target");
cargo(["build", "--quiet", "--locked", "--package", "jds-peer"], "target");
installRoles();
const environment = { ADIT_INTEROP_BIN: join(cache, "target", "debug"), ADIT_INTEROP_ROLES: roleFolder };
process.exit(runTests(["interop"], environment));
