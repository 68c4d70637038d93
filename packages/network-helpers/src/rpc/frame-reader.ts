import type { ByteStream } from "../byte-stream.ts";
import { NetworkError } from "../errors.ts";
import { Inbox } from "../inbox.ts";
import { decodeRpcHeader, RPC_HEADER_SIZE, type RpcFrame } from "./frame.ts";

/**
 * The frames in a stream's bytes, one a pull. A header is judged before its payload is waited for, and memory follows what
 * has arrived, never what a header announces. Ends when the stream ends between two frames; throws what
 * `decodeRpcHeader` throws, what the stream throws, and NetworkError "closed" for an end inside a frame.
 */
export async function* rpcFrames(
  { peer, source }: Pick<ByteStream, "peer" | "source">,
  { maxPayload }: { readonly maxPayload: number },
): AsyncGenerator<RpcFrame, void, undefined> {
  const inbox = new Inbox(source);
  while (await inbox.fill(RPC_HEADER_SIZE)) {
    const { type, id, length } = decodeRpcHeader(inbox.take(RPC_HEADER_SIZE), { peer, maxPayload });
    if (!(await inbox.fill(length))) throw cutShort(peer);
    yield { type, id, payload: inbox.take(length) };
  }
  if (inbox.length > 0) throw cutShort(peer);
}

function cutShort(peer: string): NetworkError {
  return new NetworkError("closed", {
    peer,
    message: `${peer}: ended in the middle of an RPC frame; its log says why`,
  });
}
