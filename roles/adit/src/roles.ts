import { jdClientRole } from "@adit/jd-client";
import { jdServerRole } from "@adit/jd-server";
import { miningDeviceRole } from "@adit/mining-device";
import { poolRole } from "@adit/pool";
import { type ReferencedRole, runRole } from "@adit/role-kit";
import { templateProviderRole } from "@adit/template-provider";
import { translatorRole } from "@adit/translator";
import { watchRole } from "./watch/role.ts";

/** A role that the command can run. */
export interface RunnableRole extends ReferencedRole {
  /** Runs it from its command line until it stops; resolves to the exit code. */
  start(argv: readonly string[]): Promise<number>;
}

/** Every role, in the order work flows: templates, pool, job declaration, translator, miner; and who watches them. */
export const roles: readonly RunnableRole[] = [
  { ...templateProviderRole, start: (argv) => runRole(templateProviderRole, argv) },
  { ...poolRole, start: (argv) => runRole(poolRole, argv) },
  { ...jdServerRole, start: (argv) => runRole(jdServerRole, argv) },
  { ...jdClientRole, start: (argv) => runRole(jdClientRole, argv) },
  { ...translatorRole, start: (argv) => runRole(translatorRole, argv) },
  { ...miningDeviceRole, start: (argv) => runRole(miningDeviceRole, argv) },
  { ...watchRole, start: (argv) => runRole(watchRole, argv) },
];
