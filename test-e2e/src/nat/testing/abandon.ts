import { Namespace } from "../namespace.ts";

/** Makes a namespace, says its name, and has a process run in it until killed. */
const namespace = await Namespace.create("abandoned");
process.stdout.write(`${namespace.name}\n`);
await namespace.run(["sleep", `${process.pid}00`]);
