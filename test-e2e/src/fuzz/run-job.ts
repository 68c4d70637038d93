import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { root, sourceFlags } from "../harness/test-role.ts";
import { inputOf, type StoredInput, shownInput } from "./input-form.ts";
import { readJournal } from "./journal.ts";
import type { FromProcess, Job, JobResult } from "./messages.ts";

const processMain = fileURLToPath(new URL("./process.ts", import.meta.url));
/** What a target may hold; a leak ends there. */
const HEAP_FLAGS = ["--expose-gc", "--max-old-space-size=768"];
const LOOK_MS = 250;

/** When a process counts as hanging. */
export interface Patience {
  /** Milliseconds for one input, on a machine that others use too. */
  readonly hangMs: number;
  readonly signal: AbortSignal;
}

/** What ended a process before it had answered. */
type End =
  | { readonly kind: "answer"; readonly said: FromProcess }
  | { readonly kind: "hang"; readonly input: StoredInput }
  | { readonly kind: "crash"; readonly how: string; readonly input: StoredInput | undefined };

/**
 * Does a job in a process of its own. A hang, or the end of the process, is a fault of the input it was busy with; a hang
 * only if that input hangs alone as well.
 *
 * @throws Error when the job itself cannot be done, or `signal` aborts.
 */
export async function runJob(job: Job, patience: Patience): Promise<JobResult> {
  const end = await endOf(job, patience);
  switch (end.kind) {
    case "answer":
      if (end.said.type === "broken") throw new Error(`${job.target}: ${end.said.error}`);
      return end.said.result;
    case "crash":
      if (end.input === undefined)
        throw new Error(`${job.target}: the process ended with ${end.how}, busy with nothing`);
      return faultOf(end.input, `the process ended with ${end.how}`);
    case "hang":
      return job.type === "replay"
        ? faultOf(end.input, `no end after ${patience.hangMs} ms`)
        : await runJob({ type: "replay", target: job.target, input: end.input }, patience);
    default:
      return end satisfies never;
  }
}

async function endOf(job: Job, { hangMs, signal }: Patience): Promise<End> {
  const folder = mkdtempSync(join(tmpdir(), "adit-fuzz-"));
  const path = join(folder, "journal");
  const child = fork(processMain, [path], {
    cwd: root,
    execArgv: [...sourceFlags, ...HEAP_FLAGS],
    stdio: ["ignore", "ignore", "pipe", "ipc"],
    serialization: "advanced",
  });
  let complaint = "";
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    complaint = (complaint + text).slice(-2_000);
  });
  const over = new AbortController();
  try {
    child.send(job);
    const [said, exit, hang] = [
      answerOf(child, over.signal),
      exitOf(child, over.signal),
      hangOf(path, hangMs, over.signal),
    ];
    const first = await Promise.race([said, exit, hang, abortOf(signal, over.signal)]);
    if (first.kind !== "crash") return first;
    return { ...first, how: `${first.how} ${complaint}`.trim(), input: journalOf(path)?.input };
  } finally {
    over.abort();
    child.kill("SIGKILL");
    rmSync(folder, { recursive: true, force: true });
  }
}

async function answerOf(child: ChildProcess, signal: AbortSignal): Promise<End> {
  const [said] = (await once(child, "message", { signal }).catch(never)) as [FromProcess];
  return { kind: "answer", said };
}

async function exitOf(child: ChildProcess, signal: AbortSignal): Promise<End> {
  const [code, killedBy] = (await once(child, "exit", { signal }).catch(never)) as [number | null, string | null];
  return { kind: "crash", how: String(code ?? killedBy), input: undefined };
}

async function hangOf(path: string, hangMs: number, signal: AbortSignal): Promise<End> {
  return await new Promise((resolve) => {
    const timer = setInterval(() => {
      const busy = journalOf(path);
      if (busy?.input === undefined || Date.now() - busy.at < hangMs) return;
      resolve({ kind: "hang", input: busy.input });
    }, LOOK_MS);
    signal.addEventListener("abort", () => clearInterval(timer), { once: true });
  });
}

async function abortOf(signal: AbortSignal, over: AbortSignal): Promise<never> {
  signal.throwIfAborted();
  return await new Promise((_resolve, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason), { once: true, signal: over });
  });
}

/** For a wait that was called off: it neither resolves nor rejects. */
async function never(): Promise<never> {
  return await new Promise(() => {});
}

/** Undefined before the process has made its journal. */
function journalOf(path: string): ReturnType<typeof readJournal> | undefined {
  try {
    return readJournal(path);
  } catch {
    return undefined;
  }
}

function faultOf(input: StoredInput, error: string): JobResult {
  const fault = { input, shown: shownInput(inputOf(input)), error, endedProcess: true };
  return { executions: 1, slowestMs: Number.NaN, growth: null, corpus: null, fault };
}
