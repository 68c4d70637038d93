import { decodeRpcHeader, RPC_HEADER_SIZE, type RpcFrame } from "../frame.ts";

/** The one frame in `bytes`. */
export function decodeFrame(bytes: Uint8Array): RpcFrame {
  const { type, id, length } = decodeRpcHeader(bytes, { peer: "test", maxPayload: 1 << 20 });
  if (bytes.length !== RPC_HEADER_SIZE + length) throw new Error(`${bytes.length} bytes are not one frame`);
  return { type, id, payload: bytes.subarray(RPC_HEADER_SIZE) };
}
