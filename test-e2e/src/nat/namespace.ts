import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { readdir } from "node:fs/promises";
import { text } from "node:stream/consumers";
import { promisify } from "node:util";
import type { Place } from "../harness/place.ts";
import { Dialler } from "./dialler.ts";

const exec = promisify(execFile);

/** What the names of all namespaces of these tests begin with; the pid of their maker follows. */
const PREFIX = "adit-nat-";

let made = 0;

/** A network of its own on this machine: a Linux network namespace, with loopback and nothing else at first. */
export class Namespace implements Place, AsyncDisposable {
  readonly name: string;
  readonly prefix: readonly string[];
  #dialler: Dialler | undefined;

  private constructor(name: string) {
    this.name = name;
    this.prefix = ["ip", "netns", "exec", name];
  }

  /** `role`: what it is for; shows in its name. */
  static async create(role: string): Promise<Namespace> {
    made += 1;
    const namespace = new Namespace(`${PREFIX}${process.pid}-${made}-${role}`);
    await exec("ip", ["netns", "add", namespace.name]);
    // Without IPv6 there is one way between two hosts, the one that is drawn.
    await namespace.run(["sh", "-c", 'for it in /proc/sys/net/ipv6/conf/*/disable_ipv6; do echo 1 > "$it"; done']);
    await namespace.ip("link set lo up");
    return namespace;
  }

  /** Runs a command there to its end. Resolves to its output; rejects with its complaint when it fails. */
  async run(command: readonly string[], input = ""): Promise<string> {
    return await feed([...this.prefix, ...command], input);
  }

  /** Runs lines of `ip`. */
  async ip(...lines: readonly string[]): Promise<void> {
    await feed(["ip", "-n", this.name, "-batch", "-"], lines.join("\n"));
  }

  /** Runs an nftables script, all of it or nothing. */
  async nft(script: string): Promise<void> {
    await this.run(["nft", "-f", "-"], script);
  }

  /** Has it hand on packets that are not its own, as routers do. */
  async forward(): Promise<void> {
    await this.run(["sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"]);
  }

  async connect(port: number): ReturnType<Place["connect"]> {
    this.#dialler ??= new Dialler(this.prefix);
    return await this.#dialler.connect(port);
  }

  /** Ends what runs there, and takes the namespace away with its devices, addresses and rules. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#dialler?.[Symbol.dispose]();
    await remove(this.name);
  }
}

/** Joins two namespaces by a cable; each end is named by the device it becomes there. */
export async function cable(
  [here, device]: readonly [Namespace, string],
  [there, peer]: readonly [Namespace, string],
): Promise<void> {
  const ends = [device, "netns", here.name, "type", "veth", "peer", "name", peer, "netns", there.name];
  await exec("ip", ["link", "add", ...ends]);
}

/** Names of all namespaces of this machine. Read where `ip` keeps them: it complains of those that come and go meanwhile. */
export async function namespaces(): Promise<readonly string[]> {
  return await readdir("/run/netns").catch(() => []);
}

/** Takes away what runs of these tests left behind whose process is gone, killed for instance. */
export async function sweep(): Promise<void> {
  for (const name of await namespaces()) {
    const [, pid] = new RegExp(`^${PREFIX}(\\d+)-`).exec(name) ?? [];
    if (pid !== undefined && !isRunning(Number(pid))) await remove(name);
  }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

async function remove(name: string): Promise<void> {
  const { stdout } = await exec("ip", ["netns", "pids", name]);
  for (const pid of stdout.split("\n").filter(Boolean)) kill(Number(pid));
  await exec("ip", ["netns", "delete", name]);
}

function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It has ended since it was listed.
  }
}

async function feed([command = "", ...args]: readonly string[], input: string): Promise<string> {
  const child = spawn(command, args);
  child.stdin.on("error", () => {}).end(input);
  const [output, complaint, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, "close")]);
  if (code !== 0) throw new Error(`${[command, ...args].join(" ")} failed: ${complaint}\n${input}`);
  return output;
}
