export { type JdServerConfig, jdServerConfig } from "./config.ts";
export { jdServerRole } from "./role.ts";
