import { runAsProcess } from "../harness/long-run.ts";
import { Conductor } from "./conductor.ts";
import { readPlan } from "./plan.ts";
import { reportJson, reportText } from "./report.ts";
import { failuresOf } from "./verdict.ts";

await runAsProcess({
  usage: "pnpm soak [--minutes N] [--miners N] [--json]",
  read: readPlan,
  run: async (plan, run) => await new Conductor(plan, run).run(),
  report: (findings, { json }) => (json ? reportJson(findings) : reportText(findings)),
  isGood: (findings) => failuresOf(findings).length === 0,
});
