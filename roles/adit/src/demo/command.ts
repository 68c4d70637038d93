import { parseArgs } from "node:util";
import { type DemoOptions, runDemo } from "./demo.ts";

/** `adit demo`: reads its flags and runs it. Bad flags exit 2. */
export async function demoCommand(argv: readonly string[]): Promise<number> {
  const options = readOptions(argv);
  if (typeof options === "string") {
    process.stderr.write(`adit demo: ${options}\n`);
    return 2;
  }
  return await runDemo(options);
}

function readOptions(argv: readonly string[]): DemoOptions | string {
  let values: { blocks?: string; json?: boolean; timeout?: string; dir?: string; "with-jd"?: boolean };
  try {
    values = parseArgs({ args: [...argv], options: flags }).values;
  } catch (error) {
    return (error as Error).message;
  }
  const blocks = values.blocks === undefined ? undefined : Number(values.blocks);
  const timeoutSecs = values.timeout === undefined ? undefined : Number(values.timeout);
  if (blocks !== undefined && !(Number.isInteger(blocks) && blocks > 0)) return "--blocks takes a whole number above 0";
  if (timeoutSecs !== undefined && !(timeoutSecs > 0)) return "--timeout takes seconds above 0";
  const { json = false, dir = ".adit-demo", "with-jd": withJd = false } = values;
  return { blocks, timeoutSecs, json, dir, withJd };
}

const flags = {
  blocks: { type: "string" },
  json: { type: "boolean" },
  timeout: { type: "string" },
  dir: { type: "string" },
  "with-jd": { type: "boolean" },
} as const;
