import { exitAfter, runRole } from "@adit/role-kit";
import { poolRole } from "../role.ts";

await exitAfter(runRole(poolRole, process.argv.slice(2)));
