import type { ByteStream } from "../../byte-stream.ts";

/** Sends back what comes in until the peer ends, then ends. */
export async function echo(stream: ByteStream): Promise<void> {
  for await (const chunk of stream.source) await stream.write(chunk);
  await stream[Symbol.asyncDispose]();
}

/** Echoes every stream of a listener, each on its own, and ignores how they end. */
export async function echoAll(streams: AsyncIterable<ByteStream>): Promise<void> {
  for await (const stream of streams) echo(stream).catch(() => undefined);
}

/** Reads exactly `length` bytes from an iterator over a source. Whatever came with them must have ended there. */
export async function readExactly(iterator: AsyncIterator<Uint8Array>, length: number): Promise<Uint8Array> {
  const all = new Uint8Array(length);
  for (let filled = 0; filled < length; ) {
    const next = await iterator.next();
    if (next.done === true) throw new Error(`ended after ${filled} of ${length} bytes`);
    all.set(next.value, filled);
    filled += next.value.length;
  }
  return all;
}

/** Writes one byte and waits for its echo, or fails as the stream does. */
export async function ping(stream: ByteStream): Promise<void> {
  await stream.write(Uint8Array.of(1));
  await readExactly(stream.source[Symbol.asyncIterator](), 1);
}
