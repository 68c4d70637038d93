import { Session } from "node:inspector";

// Loaded into a role's process before the role, so that a scenario can compare what is in use and not what was not yet collected.
const session = new Session();
session.connect();

/** What a finaliser lets go is garbage for the next collection only, so there are some, each in a turn of its own. */
const COLLECTIONS = 2;

function collectAgain(left: number): void {
  if (left === 0) return;
  // As for a process that is short of memory. A plain major collection spares much that nothing refers to any more.
  session.post("HeapProfiler.collectGarbage");
  setImmediate(collectAgain, left - 1);
}

process.on("SIGUSR2", () => collectAgain(COLLECTIONS));
