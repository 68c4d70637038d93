export { type Caller, clientOf, type MethodName } from "./caller.ts";
export { HTTP_PATH, httpCaller } from "./http-caller.ts";
export { defaultRpcLimits, type RpcLimits } from "./limits.ts";
export { RpcConnection } from "./rpc-connection.ts";
export { RpcError, type RpcErrorCode, rpcErrorCodes } from "./rpc-error.ts";
export { RpcServer, type RpcServerEvent, type RpcServerOptions } from "./rpc-server.ts";
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
