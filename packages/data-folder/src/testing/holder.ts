import { lockFolder } from "../index.ts";

// A process that holds a folder, says so, and lives until it is killed or its parent is gone.
await lockFolder(process.argv[2] ?? "");
process.send?.("locked");
process.on("disconnect", () => process.exit(0));
