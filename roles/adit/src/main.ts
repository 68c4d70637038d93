import { exitAfter } from "@adit/role-kit";
import { adit } from "./commands.ts";

await exitAfter(adit(process.argv.slice(2)));
