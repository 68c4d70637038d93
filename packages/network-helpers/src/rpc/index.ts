export { type Caller, clientOf, type MethodName } from "./caller.ts";
export type { ClientEffect, ClientInput } from "./client-events.ts";
export { ClientSession } from "./client-session.ts";
export { encodeRpcFrame, type RpcFrame } from "./frame.ts";
export { rpcFrames } from "./frame-reader.ts";
export { HTTP_PATH, httpCaller } from "./http-caller.ts";
export { defaultRpcLimits, type RpcLimits } from "./limits.ts";
export { RpcConnection } from "./rpc-connection.ts";
export { RpcError, type RpcErrorCode, rpcErrorCodes } from "./rpc-error.ts";
export { type RpcConnectionInfo, RpcServer, type RpcServerEvent, type RpcServerOptions } from "./rpc-server.ts";
export type { ServerEffect, ServerInput } from "./server-events.ts";
export { ServerSession } from "./server-session.ts";
export {
  type CallContext,
  type CallMethod,
  type CallOptions,
  type Client,
  call,
  type Handlers,
  type Methods,
  type Service,
  type StreamMethod,
  service,
  stream,
} from "./service.ts";
export { type CallReport, implement, type ServedMethod, type ServedService, ServiceTable } from "./service-table.ts";
