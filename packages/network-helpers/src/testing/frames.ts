import { encodeHeader } from "@adit/codec";
import { pureCrypto } from "@adit/noise";
import type { ByteStream } from "../byte-stream.ts";
import { type FrameCipher, noiseCipher, plainCipher } from "../frame-cipher.ts";
import { type FrameConnection, StreamFrameConnection } from "../frame-connection.ts";
import { Inbox } from "../inbox.ts";

/** A frame whose payload has `size` bytes. */
export function frame(size: number): Uint8Array {
  const header = encodeHeader({ extensionType: 0, channelMsg: false, messageType: 0x42, length: size });
  const payload = Uint8Array.from({ length: size }, (_, index) => index * 31 + size);
  return concat([header, payload]);
}

/** The bytes of all, in one array. */
export function concat(parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}

/** Frames over a stream, without a handshake. */
export function framesOver(stream: ByteStream, cipher: FrameCipher): StreamFrameConnection {
  return new StreamFrameConnection(stream, { inbox: new Inbox(stream.source), cipher, maxPayload: 1 << 23, hint: "" });
}

/** Payloads of at most `count` frames. */
export async function take(connection: FrameConnection, count: number): Promise<readonly Uint8Array[]> {
  const payloads: Uint8Array[] = [];
  const frames = connection.reader.frames[Symbol.asyncIterator]();
  while (payloads.length < count) {
    const next = await frames.next();
    if (next.done === true) break;
    payloads.push(next.value.payload);
  }
  return payloads;
}

/** Both directions in one cipher: what it seals it opens. */
export function loopCipher(encryption: "noise" | "plain"): FrameCipher {
  const key = new Uint8Array(32).fill(1);
  if (encryption === "plain") return plainCipher;
  return noiseCipher({ sealer: pureCrypto.frameSealer(key), opener: pureCrypto.frameOpener(key) });
}
