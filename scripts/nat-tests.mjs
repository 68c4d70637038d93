// `pnpm test:nat`: runs the tests whose pool and translator are behind a NAT each, in network namespaces of this machine.
// That takes root, nftables, iproute2, Python and TUN devices; where one of them is missing it says so and ends with 0.
// iroh's own relay server is built from crates.io where cargo is, and kept outside of the checkout, in the folder that
// ADIT_NAT_CACHE names or ~/.cache/adit/nat; elsewhere the relay of the unit tests stands in. Otherwise ends as `npm test`
// does. `--build-only` builds the relay and tests nothing.
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { install } from "./install.mjs";
import { runTests } from "./run-tests.mjs";

const RELAY = "iroh-relay@1.0.2";
const cache =
  process.env.ADIT_NAT_CACHE || join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "adit", "nat");

/** Debian's packages with the commands that the tests use. */
const packages = { ip: "iproute2", nft: "nftables", python3: "python3" };

/** Built to be there soon, not to be fast. */
const profile = {
  CARGO_PROFILE_RELEASE_LTO: "off",
  CARGO_PROFILE_RELEASE_CODEGEN_UNITS: "16",
  CARGO_PROFILE_RELEASE_OPT_LEVEL: "1",
  CARGO_PROFILE_RELEASE_DEBUG: "0",
};

/** What this machine lacks, in words for its owner; undefined when the tests can run. */
function lacking() {
  if (process.platform !== "linux") return "Linux: they run in its network namespaces";
  if (process.getuid() !== 0) return "root: they make network namespaces, routers and TUN devices";
  const absent = () => Object.keys(packages).filter((command) => !isThere(command));
  if (absent().length > 0) installPackages(absent().map((command) => packages[command]));
  if (absent().length > 0)
    return `${absent().join(" and ")}: on Debian, apt-get install ${Object.values(packages).join(" ")}`;
  return unableTo();
}

/** Rights and kernel modules do not show before they are used: tries each thing once, in a namespace that goes at once. */
function unableTo() {
  const name = `adit-nat-${process.pid}-trial`;
  const trials = [
    { what: "the right to make network namespaces", args: ["netns", "add", name] },
    { what: "veth devices", args: ["-n", name, "link", "add", "left", "type", "veth", "peer", "name", "right"] },
    { what: "TUN devices (/dev/net/tun)", args: ["-n", name, "tuntap", "add", "far", "mode", "tun"] },
    { what: "address translation in nftables", args: ["netns", "exec", name, "nft", "-f", "-"] },
  ];
  const input = "table ip t { chain c { type nat hook postrouting priority srcnat; masquerade; }; }";
  try {
    for (const { what, args } of trials) {
      const { status, stderr } = spawnSync("ip", args, { input, encoding: "utf8" });
      if (status !== 0) return `${what}: ${stderr.trim()}`;
    }
    return undefined;
  } finally {
    spawnSync("ip", ["netns", "delete", name], { stdio: "ignore" });
  }
}

/** Root on Debian gets what is missing; others are told. */
function installPackages(wanted) {
  if (!isThere("apt-get")) return;
  process.stderr.write(`== installing ${wanted.join(", ")}\n`);
  const apt = (args) => spawnSync("apt-get", args, { stdio: ["ignore", 2, 2] }).status === 0;
  if (apt(["update", "-qq"])) apt(["install", "-y", "-qq", "--no-install-recommends", ...wanted]);
}

/** Path of iroh's relay server; empty when it cannot be had. */
function buildRelay() {
  const program = join(cache, RELAY, "bin", "iroh-relay");
  if (existsSync(program)) return program;
  if (!isThere("cargo")) {
    process.stdout.write(
      "iroh's relay server needs cargo to be built (see https://rustup.rs): a test relay stands in\n",
    );
    return "";
  }
  const args = ["install", "--quiet", "--locked", "--features", "server", "--root", join(cache, RELAY), RELAY];
  process.stderr.write(`== cargo ${args.join(" ")}\n`);
  const env = { ...process.env, CARGO_TARGET_DIR: join(cache, "target"), ...profile };
  if (spawnSync("cargo", args, { env, stdio: ["ignore", 2, 2] }).status === 0) return program;
  process.stdout.write(`${RELAY} could not be built, for the reason above: a test relay stands in\n`);
  return "";
}

function isThere(command) {
  return spawnSync(command, ["--version"], { stdio: "ignore" }).error === undefined;
}

const missing = lacking();
if (missing !== undefined) {
  process.stdout.write(`SKIPPED: the tests through a NAT need ${missing}\n`);
  process.exit(0);
}
if (process.argv.includes("--build-only")) {
  buildRelay();
  process.exit(0);
}
install();
process.exit(runTests(["nat"], { ADIT_NAT_RELAY: buildRelay() }));
