export { BLOCK_BITS, HARD_BITS, newChain, TemplateServer } from "./template-server.ts";
export { type FoundWork, TestMiner } from "./test-miner.ts";
