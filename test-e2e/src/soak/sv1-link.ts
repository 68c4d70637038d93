import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { encodeHeader, pureHashing, targetToBytes } from "@adit/bitcoin";
import {
  coinbaseOf,
  LineSplitter,
  type Sv1ClientEffect,
  type Sv1ClientInput,
  type Sv1ClientJob,
  Sv1ClientSession,
  type Sv1ClientSubmit,
} from "@adit/sv1";
import type { FoundShare, Link, LinkEvents, Work } from "./link.ts";

const DIAL_MS = 10_000;
const TICK_MS = 5_000;
const LONGEST_LINE = 65_536;

/** The translator's reasons by the words miners get: its own counts are by reason. */
const reasonOf: Readonly<Record<string, string>> = {
  "Stale job": "stale-share",
  "Job not found": "invalid-job-id",
  "Duplicate share": "duplicate-share",
  "Low difficulty share": "difficulty-too-low",
  "Time out of range": "invalid-ntime",
  "Too many shares on this block": "too-many-shares",
};

/** A Stratum V1 connection to a translator. */
export class Sv1Link implements Link {
  work: Work | undefined;
  readonly ended: Promise<string>;
  readonly #socket: Socket;
  readonly #events: LinkEvents;
  readonly #session: Sv1ClientSession;
  readonly #submits = new Map<Sv1ClientSubmit, { readonly share: FoundShare; readonly at: number }>();
  readonly #timer: NodeJS.Timeout;
  #extranonce2 = 0;
  #cause = "closed by the translator";

  private constructor(socket: Socket, identity: string, events: LinkEvents) {
    this.#socket = socket;
    this.#events = events;
    this.#session = new Sv1ClientSession({
      userAgent: "soak/1.0",
      userName: identity,
      password: "x",
      versionRolling: true,
    });
    const splitter = new LineSplitter(LONGEST_LINE);
    this.ended = new Promise((resolve) => socket.once("close", () => resolve(this.#end())));
    socket.on("error", (error) => (this.#cause = codeOf(error)));
    socket.on("data", (chunk: Uint8Array) => {
      for (const line of splitter.push(chunk)) this.#feed({ type: "line", line });
    });
    this.#timer = setInterval(() => this.#feed({ type: "tick" }), TICK_MS);
    this.#feed({ type: "connected" });
  }

  static async dial(address: string, identity: string, events: LinkEvents): Promise<Sv1Link> {
    return new Sv1Link(await dialSv1(address), identity, events);
  }

  get pending(): number {
    return this.#submits.size;
  }

  leave(how: "clean" | "reset"): void {
    if (how === "clean") this.#socket.end();
    else this.#socket.resetAndDestroy();
  }

  #end(): string {
    clearInterval(this.#timer);
    this.work = undefined;
    for (const { share } of this.#submits.values()) this.#events.uncertain(share);
    this.#submits.clear();
    return this.#cause;
  }

  #feed(input: Sv1ClientInput): void {
    for (const effect of this.#session.handle(input, Date.now())) this.#perform(effect);
  }

  #perform(effect: Sv1ClientEffect): void {
    switch (effect.type) {
      case "send":
        this.#socket.write(`${effect.line}\n`);
        return;
      case "job":
        return this.#start(effect.job);
      case "submit-result":
        return this.#settle(effect.submit, effect.outcome);
      case "authorized":
        if (!effect.accepted) this.#events.fault(`not authorized: ${effect.reason}`);
        return;
      case "close":
        this.#cause = `closed by the miner: ${effect.reason}`;
        this.#events.fault(this.#cause);
        this.#socket.destroy();
        return;
      default:
    }
  }

  #settle(submit: Sv1ClientSubmit, outcome: Extract<Sv1ClientEffect, { type: "submit-result" }>["outcome"]): void {
    const open = this.#submits.get(submit);
    this.#submits.delete(submit);
    if (open === undefined) return this.#events.fault("an answer to a share that was not open");
    const { share, at } = open;
    const answer = { sum: 0n, shares: [share] };
    if (outcome.kind === "accepted") this.#events.acknowledged(1, [performance.now() - at], answer);
    else if (outcome.kind === "rejected") this.#events.rejected(reasonOf[outcome.reason] ?? outcome.reason, share);
    else this.#events.uncertain(share);
  }

  /** Another extranonce2 for each job, so that no header is hashed twice when a job is sent again. */
  #start(job: Sv1ClientJob): void {
    this.#extranonce2 = (this.#extranonce2 + 1) % 65_536;
    const extranonce2 = new Uint8Array(job.extranonce2Size);
    new DataView(extranonce2.buffer).setUint16(0, this.#extranonce2);
    const merkleRoot = pureHashing.merkleRoot(coinbaseOf(job, job.extranonce1, extranonce2), job.merklePath);
    const { version, prevHash, nbits, ntime } = job;
    const header = encodeHeader({ version, prevHash, merkleRoot, ntime, nbits, nonce: 0 });
    const target = targetToBytes(job.target);
    this.work = {
      header,
      target,
      submit: (nonce, hash) => {
        const submit = { job, extranonce2, ntime, nonce, version };
        const found = { hash, header: header.slice(), target };
        this.#submits.set(submit, { share: found, at: performance.now() });
        this.#events.submitted(found);
        this.#feed({ type: "submit", submit });
      },
    };
    this.#events.job(prevHash, Date.now());
  }
}

/** Begins to subscribe and breaks off in the middle of the line. */
export async function breakOffSv1(address: string): Promise<void> {
  const socket = await dialSv1(address);
  socket.on("error", () => {});
  await new Promise<void>((resolve) => socket.write('{"id":1,"method":"mining.subs', () => resolve()));
  socket.resetAndDestroy();
}

async function dialSv1(address: string): Promise<Socket> {
  const colon = address.lastIndexOf(":");
  const socket = connect(Number(address.slice(colon + 1)), address.slice(0, colon));
  try {
    await once(socket, "connect", { signal: AbortSignal.timeout(DIAL_MS) });
  } catch (error) {
    socket.destroy();
    throw error;
  }
  return socket;
}

/** A stable name of an error, for counting. */
export function codeOf(error: unknown): string {
  if (error instanceof Error && "code" in error && typeof error.code === "string") return error.code;
  return error instanceof Error ? error.name : "unknown";
}
