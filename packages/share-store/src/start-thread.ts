import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
import { Worker, type WorkerOptions } from "node:worker_threads";

/**
 * Starts a sibling module as a thread. From a build it is a plain `.js` file. From source it is TypeScript, and Node 20
 * gives a thread no loader of its own, so the thread first registers the one that this process was started with.
 *
 * @param module file name without its ending, beside the caller's `base` URL.
 */
export function startThread(module: string, base: string, options: WorkerOptions): Worker {
  if (!base.endsWith(".ts")) return new Worker(new URL(`./${module}.js`, base), options);
  // Not its CommonJS twin, which on Node 20 looks for its hooks in the wrong folder.
  const loader = pathToFileURL(
    createRequire(base)
      .resolve("tsx/esm/api")
      .replace(/\.cjs$/, ".mjs"),
  ).href;
  const entry = new URL(`./${module}.ts`, base).href;
  const script = `import(${JSON.stringify(loader)}).then(({ register }) => { register(); return import(${JSON.stringify(entry)}); })`;
  return new Worker(script, { ...options, eval: true, execArgv: ["--conditions=@adit/source"] });
}
