import { HEADER_SIZE } from "@adit/codec";
import { SEALED_HEADER_SIZE, type StreamCiphers, sealedFrameLength, sealedPayloadLength } from "@adit/noise";

/** How frames look on the wire: sealed by Noise, or as they are. */
export interface FrameCipher {
  /** Which of the two, for info(). */
  readonly encryption: "noise" | "plain";
  /** Bytes of a header on the wire. */
  readonly headerSize: number;
  /** Bytes on the wire of a payload that has `length` bytes. */
  payloadSize(length: number): number;
  /** The six header bytes. Throws NoiseError. */
  openHeader(bytes: Uint8Array): Uint8Array;
  /** The payload. Throws NoiseError. */
  openPayload(bytes: Uint8Array, length: number): Uint8Array;
  /** A whole frame for the wire; calls are in the order the frames travel, those of {@link sealInto} among them. */
  seal(frame: Uint8Array): Uint8Array;
  /** Bytes on the wire of a whole frame that has `length` bytes. */
  frameSize(length: number): number;
  /** Writes a whole frame for the wire to `destination`, from `at` on, and returns where it ends. */
  sealInto(destination: Uint8Array, at: number, frame: Uint8Array): number;
}

/** Frames as they are (requirement A2). */
export const plainCipher: FrameCipher = {
  encryption: "plain",
  headerSize: HEADER_SIZE,
  payloadSize: (length) => length,
  openHeader: (bytes) => bytes,
  openPayload: (bytes) => bytes,
  seal: (frame) => frame,
  frameSize: (length) => length,
  sealInto: (destination, at, frame) => {
    destination.set(frame, at);
    return at + frame.length;
  },
};

/** Frames sealed with the ciphers of a finished handshake (spec 4.6). */
export function noiseCipher({ opener, sealer }: StreamCiphers): FrameCipher {
  return {
    encryption: "noise",
    headerSize: SEALED_HEADER_SIZE,
    payloadSize: sealedPayloadLength,
    openHeader: (bytes) => opener.openHeader(bytes),
    openPayload: (bytes, length) => opener.openPayload(bytes, length),
    seal: (frame) => sealer.seal(frame),
    frameSize: sealedFrameLength,
    sealInto: (destination, at, frame) => sealer.sealInto(destination, at, frame),
  };
}
