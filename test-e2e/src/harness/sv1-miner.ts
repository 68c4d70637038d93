import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { encodeHeader, meetsTarget, pureHashing, targetFromBits, targetToBytes } from "@adit/bitcoin";
import {
  coinbaseOf,
  LineSplitter,
  type Sv1ClientEffect,
  type Sv1ClientInput,
  type Sv1ClientJob,
  Sv1ClientSession,
} from "@adit/sv1";
import { PacedSearch } from "./paced-search.ts";

/** A Stratum V1 miner that hashes for real, in this process and on one socket for as long as that lives. */
export class Sv1Miner implements Disposable {
  accepted = 0;
  /** Shares sent. */
  submitted = 0;
  /** Jobs it was given. */
  jobs = 0;
  readonly rejected: string[] = [];
  /** Keeps to itself whatever would make a block. */
  withholdsBlocks = false;
  #handsInOne = false;
  readonly #socket: Socket;
  readonly #session = new Sv1ClientSession({
    userAgent: "e2e/1.0",
    userName: "e2e.raw",
    password: "x",
    versionRolling: true,
  });
  readonly #timer: NodeJS.Timeout;
  readonly #search: PacedSearch;
  #work: { readonly job: Sv1ClientJob; readonly merkleRoot: Uint8Array; readonly target: Uint8Array } | undefined;
  #extranonce2 = 0;

  private constructor(socket: Socket, triesAtOnce: number | undefined) {
    this.#socket = socket;
    this.#search = new PacedSearch((nonce) => this.#find(nonce), triesAtOnce);
    const splitter = new LineSplitter(65_536);
    const decode = (chunk: Uint8Array): void => {
      for (const line of splitter.push(chunk)) this.#feed({ type: "line", line });
    };
    socket.on("data", decode).on("error", () => {});
    this.#timer = setInterval(() => this.#feed({ type: "tick" }), 1000);
    this.#feed({ type: "connected" });
  }

  /** `triesAtOnce`: as for {@link PacedSearch}. */
  static async dial(address: string, triesAtOnce?: number): Promise<Sv1Miner> {
    const socket = connect(Number(address.slice(address.lastIndexOf(":") + 1)), "127.0.0.1");
    await once(socket, "connect");
    return Sv1Miner.on(socket, triesAtOnce);
  }

  /** A miner on a socket that is connected already, which it takes over. `triesAtOnce`: as for {@link PacedSearch}. */
  static on(socket: Socket, triesAtOnce?: number): Sv1Miner {
    return new Sv1Miner(socket, triesAtOnce);
  }

  /** Whether its one socket is still as open as at the start. */
  get isConnected(): boolean {
    return !this.#socket.closed && this.#socket.readable && this.#socket.writable;
  }

  /** Hands in the next block it finds, and withholds those after it. */
  handInOneBlock(): void {
    this.#handsInOne = true;
    this.withholdsBlocks = false;
  }

  /** Hashes no more, and stays. */
  rest(): void {
    this.#search.stop();
  }

  [Symbol.dispose](): void {
    this.#search.stop();
    clearInterval(this.#timer);
    this.#socket.destroy();
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
        this.jobs += 1;
        return this.#start(effect.job);
      case "submit-result":
        if (effect.outcome.kind === "accepted") this.accepted += 1;
        else this.rejected.push(effect.outcome.reason);
        return;
      case "close":
        this.#socket.destroy(new Error(effect.reason));
        return;
      default:
    }
  }

  #start(job: Sv1ClientJob): void {
    const merkleRoot = pureHashing.merkleRoot(coinbaseOf(job, job.extranonce1, this.#rolled(job)), job.merklePath);
    this.#work = { job, merkleRoot, target: targetToBytes(job.target) };
  }

  /** Another extranonce2 for each job, so that no header is hashed twice when a job is sent again. */
  #rolled({ extranonce2Size }: Sv1ClientJob): Uint8Array {
    this.#extranonce2 += 1;
    const extranonce2 = new Uint8Array(extranonce2Size);
    new DataView(extranonce2.buffer).setUint16(0, this.#extranonce2);
    return extranonce2;
  }

  #find(nonce: number): void {
    if (this.#work === undefined) return;
    const { job, merkleRoot, target } = this.#work;
    const { version, prevHash, nbits, ntime } = job;
    const hash = pureHashing.headerHash(encodeHeader({ version, prevHash, merkleRoot, ntime, nbits, nonce }));
    if (!meetsTarget(hash, target)) return;
    // A hostile pool's bits need not be a target: they matter only to who keeps blocks apart from shares.
    const minds = this.withholdsBlocks || this.#handsInOne;
    if (minds && meetsTarget(hash, targetToBytes(targetFromBits(nbits)))) {
      if (this.withholdsBlocks) return;
      this.withholdsBlocks = this.#handsInOne;
    }
    const extranonce2 = new Uint8Array(job.extranonce2Size);
    new DataView(extranonce2.buffer).setUint16(0, this.#extranonce2);
    this.submitted += 1;
    this.#feed({ type: "submit", submit: { job, extranonce2, ntime, nonce, version } });
  }
}
