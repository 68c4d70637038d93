import { declarationSuite } from "./declaration-suite.ts";
import type { MiningGround } from "./mining-scene.ts";
import { poolSuite } from "./pool-suite.ts";
import { templateSuite } from "./template-suite.ts";

/** What the roles promise on every node software: what they mine is taken. */
export function miningSuite(name: string, ground: MiningGround): void {
  poolSuite(name, ground);
  templateSuite(name, ground);
  declarationSuite(name, ground);
}
