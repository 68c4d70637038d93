import { setTimeout as sleep } from "node:timers/promises";
import { type FrameConnection, type FrameWriter, NetworkError } from "@adit/network-helpers";
import { encodeFrame, frameOf, frameTypes, type Load, MAX_FRAME_PAYLOAD, pouredLoad } from "./frames.ts";

/** The server's end of a FrameLine: sends back what comes, pours when asked to, and ends when the client does. */
export async function answer(connection: FrameConnection): Promise<void> {
  await using open = connection;
  const { reader, writer } = open;
  reader.setMaxPayload(MAX_FRAME_PAYLOAD);
  for await (const { messageType, payload } of reader.frames) {
    if (messageType === frameTypes.pour) void pour(writer, pouredLoad(payload));
    else await writer.write(encodeFrame(messageType, payload));
  }
}

/** Until the connection breaks, which is how the client says that it has seen enough. */
async function pour(writer: FrameWriter, { size, batch, pauseMs }: Load): Promise<void> {
  const frame = frameOf(frameTypes.data, size);
  const frames = Array.from({ length: batch }, () => frame);
  try {
    for (;;) {
      await writer.writeAll(frames);
      if (pauseMs > 0) await sleep(pauseMs);
    }
  } catch (error) {
    if (!(error instanceof NetworkError)) throw error;
  }
}
