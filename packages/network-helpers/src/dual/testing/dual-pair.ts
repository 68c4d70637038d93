import type { ByteStream } from "../../byte-stream.ts";
import { memory } from "../../memory/index.ts";
import { iterateOnce } from "../../once.ts";
import { streamPair } from "../../testing/parties.ts";

/** Both ends of a connection with two streams. */
export interface DualPair {
  readonly dialled: { readonly control: ByteStream; readonly data: ByteStream };
  readonly accepted: { readonly control: ByteStream; readonly data: ByteStream };
}

/** A connection with two streams in memory; `windowBytes` is how far each stream's writer may be ahead. */
export async function dualPair(windowBytes = 64 * 1024): Promise<DualPair> {
  const transport = memory({ windowBytes });
  const [dialledControl, acceptedControl] = await streamPair(transport);
  const [dialledData, acceptedData] = await streamPair(transport);
  return {
    dialled: { control: withSecond(dialledControl, dialledData), data: dialledData },
    accepted: { control: withSecond(acceptedControl, acceptedData), data: acceptedData },
  };
}

/** A stream that has `second` beside it. */
export function withSecond(first: ByteStream, second: ByteStream): ByteStream {
  return Object.assign(first, { secondStream: async () => second });
}

/** A stream whose chunks come through a gate: each waits for the promise that `gate` gives for it. */
export function gated(stream: ByteStream, gate: () => Promise<void>): ByteStream {
  const source = stream.source[Symbol.asyncIterator]();
  const slow = iterateOnce("a stream's source", {
    next: async () => {
      await gate();
      return (await source.next()) as IteratorResult<Uint8Array, undefined>;
    },
    return: async () => ({ done: true, value: undefined }),
  });
  return {
    peer: stream.peer,
    source: slow,
    write: (bytes) => stream.write(bytes),
    abort: (reason) => stream.abort(reason),
    info: () => stream.info(),
    [Symbol.asyncDispose]: () => stream[Symbol.asyncDispose](),
  };
}
