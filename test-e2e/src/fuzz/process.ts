/**
 * The process in which targets run: a hang or a crash ends it and nothing else. It is given the path of its journal, and
 * one job, and answers with what came of it.
 */
import { Coverage } from "./coverage.ts";
import { Execution } from "./execution.ts";
import { errorText, type Fault, faultOf } from "./fault.ts";
import { Growth } from "./growth.ts";
import { GuidedSearch } from "./guided-search.ts";
import { inputOf, shownInput, storedInput } from "./input-form.ts";
import { Journal } from "./journal.ts";
import type { FromProcess, Job, JobResult } from "./messages.ts";
import { searchGenerated } from "./search.ts";
import { loadTarget } from "./targets.ts";

/** Modules whose coverage guides: the product's, and the targets that test this search itself. */
const WATCHED = /\/(?:(?:packages|roles)\/[^/]+\/src\/|fuzz\/targets\/planted)/;

async function perform(job: Job, journal: Journal): Promise<JobResult> {
  // Before the target is imported: only what is compiled afterwards is counted.
  using coverage = job.type === "search" && job.by === "coverage" ? new Coverage(WATCHED) : undefined;
  const target = await loadTarget(job.target);
  const growth = new Growth();
  const execution = new Execution(target, { journal, growth });
  let fault: Fault | undefined;
  let corpus: number | null = null;
  if (job.type === "replay") fault = await faultOf(execution, inputOf(job.input));
  else {
    const extent = { seed: job.seed, until: performance.now() + job.ms };
    if (coverage === undefined) fault = await searchGenerated(target, execution, extent);
    else {
      const { inputs, guided } = target;
      if (guided === undefined) throw new RangeError(`${job.target} is not searched by coverage`);
      const search = new GuidedSearch({ inputs, guidance: guided, coverage, execution });
      fault = await search.run(extent);
      corpus = search.corpus;
    }
  }
  journal.idle();
  return {
    executions: execution.count,
    slowestMs: execution.slowestMs,
    growth: growth.bytes,
    corpus,
    fault: fault === undefined ? null : storedFault(fault),
  };
}

function storedFault({ input, error }: Fault): JobResult["fault"] {
  return { input: storedInput(input), shown: shownInput(input), error, endedProcess: false };
}

async function answer(job: Job, path: string): Promise<FromProcess> {
  using journal = new Journal(path);
  try {
    return { type: "result", result: await perform(job, journal) };
  } catch (error) {
    return { type: "broken", error: errorText(error) };
  }
}

// The parent ends it once it has the answer: a process that ends by itself might be seen to end before it was heard.
process.once("disconnect", () => process.exit(0));
process.once("message", (job) => {
  const [, , path = ""] = process.argv;
  void answer(job as Job, path).then((said) => process.send?.(said));
});
