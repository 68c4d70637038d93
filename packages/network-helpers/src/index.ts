export type { ByteStream, Listener, StreamInfo, Transport } from "./byte-stream.ts";
export { abortError, NetworkError, type NetworkErrorCode, printable } from "./errors.ts";
