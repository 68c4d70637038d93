export { type PoolConfig, poolConfig } from "./config.ts";
export { poolRole } from "./role.ts";
