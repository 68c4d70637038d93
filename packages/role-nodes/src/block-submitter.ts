import { setMaxListeners } from "node:events";
import { displayHash, hex } from "@adit/bitcoin";
import { type BitcoinNode, NodeError } from "@adit/bitcoin-node";
import type { RoleContext } from "@adit/role-kit";
import type { BlockFiles, FiledBlock } from "./block-files.ts";
import {
  type BlockOutcome,
  type BlockStanding,
  BlockSubmission,
  type SubmissionEffect,
  type SubmissionInput,
} from "./block-submission.ts";
import { inTime } from "./in-time.ts";
import type { NodeMetrics } from "./node-metrics.ts";
import { answerText, type SubmissionStatus, submissionStatus } from "./node-status.ts";

/** What {@link BlockSubmitter} works with. */
export interface BlockSubmitterOptions {
  readonly files: BlockFiles;
  /** All nodes that blocks go to. */
  readonly nodes: readonly BitcoinNode[];
  readonly metrics: NodeMetrics;
  /** A node has taken a block, so that it soon has another template. */
  readonly onTaken: (node: number) => void;
  /** Something went wrong that nobody foresaw. */
  readonly onFailure: (error: unknown) => void;
  readonly log: RoleContext["log"];
  /** Milliseconds since some moment; never goes back, so that no retry waits for a clock that was set. */
  readonly now: () => number;
}

/** A block that shall go to the nodes. Nothing in it is a view into a frame. */
export interface SubmittedBlock extends FiledBlock {
  /** 80 bytes. */
  readonly header: Uint8Array;
  /** The whole coinbase with its witness. */
  readonly coinbase: Uint8Array;
}

/** Blocks that are still followed; of more, the oldest are left to their files. */
const MAX_FOLLOWED = 64;
/** Blocks with a final outcome that the operator is still shown. */
const MAX_FINISHED = 16;
/** A disk that is slower than this does not hold up a block. */
const FILE_LIMIT_MS = 1_000;

interface Followed {
  readonly submission: BlockSubmission;
  readonly bytes: Uint8Array;
  /** Null as long as it is not written. */
  file: string | null;
  /** The block, then its outcomes, are written one after the other. */
  filing: Promise<void>;
  wasAccepted: boolean;
}

/** Takes solved blocks to disk and to every node, and tells the operator what becomes of them. */
export class BlockSubmitter implements AsyncDisposable {
  readonly #options: BlockSubmitterOptions;
  readonly #names: readonly string[];
  readonly #stopping = new AbortController();
  readonly #going = new Set<Promise<void>>();
  /** By hash, oldest first. */
  readonly #followed = new Map<string, Followed>();
  /** Newest first. */
  #finished: readonly SubmissionStatus[] = [];
  #accepted = 0;

  constructor(options: BlockSubmitterOptions) {
    this.#options = options;
    this.#names = options.nodes.map(({ name }) => name);
    // One listener for each call that is under way.
    setMaxListeners(0, this.#stopping.signal);
  }

  /** Blocks that came into a best chain since the start. */
  get accepted(): number {
    return this.#accepted;
  }

  /** Blocks that no node has judged yet. */
  get pending(): number {
    return [...this.#followed.values()].filter(({ submission }) => submission.outcome === "pending").length;
  }

  /** The blocks that are followed, then the last ones with a final outcome; newest first. */
  status(): readonly SubmissionStatus[] {
    const followed = [...this.#followed.values()].map((block) => this.#statusOf(block));
    return [...followed.toReversed(), ...this.#finished];
  }

  /** Submits again what a former process could not bring to an end. Errors of the file system as they are. */
  async restore(): Promise<void> {
    const { files, log } = this.#options;
    const { blocks, broken, left } = await files.unjudged();
    if (left > 0) log.warn({ blocks: left }, "old blocks without an outcome are left to their files");
    for (const path of broken)
      log.warn({ path }, "file of a block does not hold that block and is not submitted; restore it from a copy");
    for (const block of blocks) {
      const file = files.path(block);
      log.warn({ height: block.height, hash: displayHash(block.hash), file }, "block submitted again from its file");
      this.#begin(block, { file, writing: Promise.resolve(file) });
    }
  }

  /** Writes a block to disk, then sends it to every node. Resolves when it is on its way. One call at a time. */
  async submit(block: SubmittedBlock): Promise<void> {
    if (this.#followed.has(hex(block.hash))) return;
    const writing = this.#write(block);
    const file = await this.#fileInTime(writing, block);
    this.#begin(block, { file, writing });
  }

  /** A node answers again: it is told at once what it could not be told before. */
  nodeUp(node: number): void {
    for (const followed of this.#followed.values()) this.#take(followed, { type: "node-up", node });
  }

  /** Time passes; a few times a second. */
  tick(bestHeight: number | undefined): void {
    for (const [hash, followed] of this.#followed) {
      this.#take(followed, { type: "tick", bestHeight });
      if (!followed.submission.isDone) continue;
      this.#followed.delete(hash);
      this.#finished = [this.#statusOf(followed), ...this.#finished].slice(0, MAX_FINISHED);
    }
  }

  /** Stops what is going on. Blocks without an outcome are taken up by the next process. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort();
    await Promise.all(this.#going);
  }

  /** The block's file; null when it could not be written. */
  async #write(block: SubmittedBlock): Promise<string | null> {
    const { files, log, metrics } = this.#options;
    const file = files.path(block);
    try {
      await files.add(block);
      return file;
    } catch (error) {
      metrics.blockFilesFailed.inc({});
      const text = "block not written to disk, it is submitted all the same; free the disk";
      log.error({ ...lastResort(block), file, error }, text);
      return null;
    }
  }

  /** The block's file; null when it is not written in time, for a block never waits for that. */
  async #fileInTime(writing: Promise<string | null>, block: SubmittedBlock): Promise<string | null> {
    const first = await inTime(writing, FILE_LIMIT_MS);
    if (first !== "late") return first;
    const text = "the disk is too slow for a block, which is submitted before it is written";
    this.#options.log.error(lastResort(block), text);
    return null;
  }

  #begin(
    block: FiledBlock,
    { file, writing }: { readonly file: string | null; readonly writing: Promise<string | null> },
  ): void {
    const { height, hash, bytes } = block;
    const submission = new BlockSubmission(block, this.#names.length);
    const followed: Followed = { submission, bytes, file, filing: Promise.resolve(), wasAccepted: false };
    followed.filing = noteFile(followed, writing);
    this.#followed.set(hex(hash), followed);
    this.#forgetOldest();
    for (const effect of submission.begin()) this.#perform(followed, effect);
    this.#options.log.info({ height, hash: displayHash(hash), nodes: this.#names, file }, "block submitted");
  }

  #forgetOldest(): void {
    for (const [hash, { submission, file }] of this.#followed) {
      if (this.#followed.size <= MAX_FOLLOWED) return;
      const { height, outcome } = submission;
      this.#followed.delete(hash);
      if (outcome === "pending")
        this.#options.log.error({ height, file }, "too many blocks at once; one is left to its file");
    }
  }

  #take(followed: Followed, input: SubmissionInput): void {
    for (const effect of followed.submission.handle(input, this.#options.now())) this.#perform(followed, effect);
  }

  #perform(followed: Followed, effect: SubmissionEffect): void {
    switch (effect.type) {
      case "submit":
        return this.#track(this.#send(followed, effect.node));
      case "look-up":
        return this.#track(this.#lookUp(followed, effect.node));
      case "outcome":
        return this.#track(this.#onOutcome(followed, effect.outcome));
      default:
        return effect satisfies never;
    }
  }

  #track(work: Promise<void>): void {
    const tracked = work.catch(this.#options.onFailure).finally(() => this.#going.delete(tracked));
    this.#going.add(tracked);
  }

  async #send(followed: Followed, at: number): Promise<void> {
    const node = this.#node(at);
    const { log, metrics, onTaken } = this.#options;
    const { height, hash, answers } = followed.submission;
    const result = await attempt(() => node.submitBlock(followed.bytes, { signal: this.#stopping.signal }));
    if (this.#stopping.signal.aborted) return;
    metrics.submissions.inc({ node: node.name, result: result instanceof NodeError ? "error" : result.kind });
    const answer = answerText({ result });
    const fields = { node: node.name, height, hash: displayHash(hash), answer };
    if (answer === answerText(answers[at] ?? {})) log.debug(fields, "a node answered the same for our block again");
    else if (result instanceof NodeError)
      log.error(fields, "block could not be submitted to a node; it is tried again");
    else if (result.kind === "rejected") log.error(fields, "a node refused our block");
    else log.info(fields, "a node answered for our block");
    this.#take(followed, { type: "answer", node: at, result });
    if (!(result instanceof NodeError) && result.kind === "accepted") onTaken(at);
  }

  async #lookUp(followed: Followed, at: number): Promise<void> {
    const { signal } = this.#stopping;
    const standing = await attempt(() => standingOf(followed.submission, this.#node(at), { signal }));
    // Asked again in a moment.
    if (signal.aborted || standing instanceof NodeError) return;
    this.#take(followed, { type: "looked-up", node: at, standing });
  }

  async #onOutcome(followed: Followed, outcome: BlockOutcome): Promise<void> {
    const { log, metrics } = this.#options;
    const { height, hash } = followed.submission;
    metrics.outcomes.inc({ outcome });
    const fields = { height, hash: displayHash(hash), file: followed.file };
    if (outcome === "accepted") {
      this.#countAccepted(followed);
      log.info(fields, "block accepted");
    } else log.error({ ...fields, outcome }, "block not in the best chain");
    followed.filing = followed.filing.then(() => this.#file(followed, outcome));
    await followed.filing;
  }

  /** Once, though a reorganisation may take it away and another bring it back. */
  #countAccepted(followed: Followed): void {
    if (followed.wasAccepted) return;
    followed.wasAccepted = true;
    this.#accepted += 1;
    this.#options.metrics.blocks.inc({ solved_by: "client" });
  }

  async #file(followed: Followed, outcome: BlockOutcome): Promise<void> {
    const { files, log } = this.#options;
    const { submission, file } = followed;
    if (file === null) return;
    const { height, hash, answers } = submission;
    const said = answers.map((answer, at) => [this.#names[at], answerText(answer) ?? "no answer"] as const);
    const nodes = Object.fromEntries(said);
    await files
      .judge(submission, { height, hash: displayHash(hash), outcome, nodes })
      .catch((error: unknown) => log.warn({ error, file }, "outcome of a block not written down"));
  }

  #statusOf({ submission, file }: Followed): SubmissionStatus {
    return submissionStatus(submission, { file, names: this.#names });
  }

  #node(at: number): BitcoinNode {
    const node = this.#options.nodes[at];
    if (node === undefined) throw new RangeError(`there is no node ${at}`);
    return node;
  }
}

/** Without a file the log has what only this process knows of the block; its transactions are the node's own. */
function lastResort({ height, hash, header, coinbase }: SubmittedBlock): Record<string, unknown> {
  return { height, hash: displayHash(hash), header: hex(header), coinbase: hex(coinbase) };
}

/** A slow disk may come to an end while the block is on its way. */
async function noteFile(followed: Followed, writing: Promise<string | null>): Promise<void> {
  followed.file = await writing;
}

/** btcd tells no header of a block beside its best chain; that another has the height says as much of one that it took. */
async function standingOf(
  { hash, height }: Pick<BlockSubmission, "hash" | "height">,
  node: BitcoinNode,
  request: { readonly signal: AbortSignal },
): Promise<BlockStanding> {
  const header = await node.header(hash, request);
  if (header !== undefined) return header.confirmations >= 1 ? "in-chain" : "beside";
  return (await node.blockHash(height, request)) === undefined ? "unknown" : "beside";
}

async function attempt<T>(call: () => Promise<T>): Promise<T | NodeError> {
  try {
    return await call();
  } catch (error) {
    if (error instanceof NodeError) return error;
    throw error;
  }
}
