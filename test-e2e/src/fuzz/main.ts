import { runAsProcess } from "../harness/long-run.ts";
import { runCampaign } from "./campaign.ts";
import { readOptions } from "./options.ts";
import { reportOf } from "./report.ts";

/** A shared machine may not give a process the processor for seconds. */
const HANG_MS = 10_000;

await runAsProcess({
  usage: "pnpm fuzz [--minutes N] [--target NAME]... [--seed S] [--findings FOLDER]",
  read: (args) => readOptions(args, Date.now()),
  run: async (options, run) => {
    run.say(`seed ${options.seed}`);
    return await runCampaign({ ...options, ...run, hangMs: HANG_MS });
  },
  report: reportOf,
  isGood: (tallies) => tallies.every(({ faults }) => faults.length === 0),
});
