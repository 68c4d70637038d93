import { displayHash } from "@adit/bitcoin";
import { NodeError } from "@adit/bitcoin-node";
import type { BlockOutcome, BlockSubmission, NodeAnswer } from "./block-submission.ts";
import type { NodeState, NodeView } from "./node-choice.ts";

/** A Bitcoin node as the status document shows it. */
export interface NodeStatus {
  /** `host:port` of its RPC server. */
  readonly name: string;
  readonly state: NodeState;
  readonly height: number | null;
  readonly tip_hash: string | null;
  /** Why the last thing asked of it failed, and what to do; null once that works again. */
  readonly error: string | null;
}

/** A block on its way to the nodes as the status document shows it. */
export interface SubmissionStatus {
  readonly height: number;
  readonly hash: string;
  readonly outcome: BlockOutcome;
  /** The block's file; null when it could not be written. */
  readonly file: string | null;
  readonly nodes: readonly { readonly name: string; readonly attempts: number; readonly answer: string | null }[];
}

/** A node's entry. */
export function nodeStatus(name: string, { state, tip, error }: NodeView): NodeStatus {
  return {
    name,
    state,
    height: tip?.height ?? null,
    tip_hash: tip === undefined ? null : displayHash(tip.hash),
    error: error?.message ?? null,
  };
}

/** A block's entry. */
export function submissionStatus(
  { height, hash, outcome, answers }: BlockSubmission,
  { file, names }: { readonly file: string | null; readonly names: readonly string[] },
): SubmissionStatus {
  return {
    height,
    hash: displayHash(hash),
    outcome,
    file,
    nodes: answers.map((answer, at) => ({
      name: names[at] ?? "",
      attempts: answer.attempts,
      answer: answerText(answer),
    })),
  };
}

/** What a node said of a block, in a word or a line; null before it said anything. */
export function answerText({ result }: Partial<Pick<NodeAnswer, "result">>): string | null {
  if (result === undefined) return null;
  if (result instanceof NodeError) return result.message;
  if (result.kind === "rejected") return `rejected: ${result.text}`;
  return "reason" in result ? `${result.kind}: ${result.reason}` : result.kind;
}
