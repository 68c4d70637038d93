export type { FiledBlock } from "./block-files.ts";
export type { BlockOutcome } from "./block-submission.ts";
export { BlockSubmitter, type SubmittedBlock } from "./block-submitter.ts";
export type { NodeStatus, SubmissionStatus } from "./node-status.ts";
export type { ReceivedTemplate } from "./received-template.ts";
export { RoleNodes, type RoleNodesListener, type RoleNodesOptions, type RoleNodesSettings } from "./role-nodes.ts";
export { syncFolder } from "./sync-folder.ts";
