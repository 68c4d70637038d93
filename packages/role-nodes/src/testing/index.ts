export { hashOf, nodeTemplate, nodeTransaction } from "./node-events.ts";
export { type NodeReply, NodeServer } from "./node-server.ts";
