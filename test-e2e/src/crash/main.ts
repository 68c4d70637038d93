import { runAsProcess } from "../harness/long-run.ts";
import { Conductor } from "./conductor.ts";
import { readPlan } from "./plan.ts";
import { reportText } from "./report.ts";

await runAsProcess({
  usage: "pnpm crash [--kills N] [--seed S] [--minutes M]",
  read: readPlan,
  run: async (plan, run) => await new Conductor(plan, run).run(),
  report: reportText,
  isGood: ({ violations }) => violations.length === 0,
});
