// `npm start`: installs what is missing, then runs the demo. Arguments after `--` go to the demo.
import { spawn } from "node:child_process";
import { join } from "node:path";
import { install, root, toolEnvironment } from "./install.mjs";

install();
const entry = join(root, "roles", "adit", "src", "main.ts");
const args = ["--conditions=@adit/source", "--import", "tsx", entry, "demo", ...process.argv.slice(2)];
const demo = spawn(process.execPath, args, { cwd: root, env: toolEnvironment(), stdio: "inherit" });

// This process only waits, so that the demo can stop what it started. A terminal sends Ctrl-C to the whole group; the
// demo does not mind hearing it twice.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => demo.kill(signal));
demo.on("exit", (code, signal) => {
  process.exitCode = code ?? (signal === "SIGINT" ? 130 : 1);
});
