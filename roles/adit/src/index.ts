export { adit } from "./commands.ts";
export { type DemoOptions, runDemo } from "./demo/demo.ts";
export type { DemoResult } from "./demo/snapshot.ts";
export { type RunnableRole, roles } from "./roles.ts";
