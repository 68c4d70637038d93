import { MAC_SIZE } from "./cipher-state.ts";
import type { Aead } from "./crypto.ts";
import { expectLength, NoiseError } from "./errors.ts";

/** Length of a frame header before it is sealed: extension_type U16, msg_type U8, msg_length U24 (spec 3.2). */
const HEADER_SIZE = 6;
/** Length of a sealed frame header: 6 bytes and a MAC (spec 4.6). */
export const SEALED_HEADER_SIZE = 22;
/** Longest ciphertext of one Noise message, its MAC included (spec 4.6). */
export const MAX_CIPHERTEXT = 65535;
/** Longest plaintext of one Noise message (spec 4.6). */
export const MAX_PLAINTEXT = 65519;

/** Seals the frames of one direction, in order. */
export interface FrameSealer {
  /**
   * Seals a whole frame, a 6-byte header and its payload, to a 22-byte header and the payload in chunks of at most 65,535
   * bytes; an empty payload adds nothing (spec 4.6). Throws NoiseError `bad-length` when the header's length is not the
   * payload's, and `nonce-exhausted`.
   */
  seal(frame: Uint8Array): Uint8Array;
  /** The same into `destination`, from `at` on; returns where it ends. Throws RangeError when there is no room. */
  sealInto(destination: Uint8Array, at: number, frame: Uint8Array): number;
}

/** Opens the frames of one direction: `openHeader` and `openPayload` in turn. After any failure every call fails. */
export interface FrameOpener {
  /**
   * Opens a 22-byte sealed header and returns the 6-byte one.
   * Throws NoiseError `decrypt-failed`, `bad-length`, `step-reused` when it is `openPayload`'s turn, `nonce-exhausted`.
   */
  openHeader(ciphertext: Uint8Array): Uint8Array;
  /**
   * Opens all chunks of a payload at once, also of an empty one. `plaintextLength` is the length in the header just opened,
   * and `ciphertext` has `sealedPayloadLength(plaintextLength)` bytes.
   * Throws NoiseError `decrypt-failed`, `bad-length`, `step-reused` when it is `openHeader`'s turn, `nonce-exhausted`.
   */
  openPayload(ciphertext: Uint8Array, plaintextLength: number): Uint8Array;
}

/** Length on the wire of a sealed frame of `length` bytes, its six of header among them. */
export function sealedFrameLength(length: number): number {
  return SEALED_HEADER_SIZE + sealedPayloadLength(length - HEADER_SIZE);
}

/** Length on the wire of a sealed payload of `plaintextLength` bytes: 16 bytes more for each chunk, none for an empty one. */
export function sealedPayloadLength(plaintextLength: number): number {
  return plaintextLength + Math.ceil(plaintextLength / MAX_PLAINTEXT) * MAC_SIZE;
}

/** A FrameSealer that seals one chunk after the other with `aead`. */
export function aeadFrameSealer(aead: Aead): FrameSealer {
  const sealInto = (destination: Uint8Array, at: number, frame: Uint8Array): number => {
    if (frame.length < HEADER_SIZE || frame.length - HEADER_SIZE !== lengthIn(frame)) {
      throw new NoiseError(
        "bad-length",
        `the header of a frame of ${frame.length} bytes does not state its payload's length`,
      );
    }
    const end = at + sealedFrameLength(frame.length);
    if (end > destination.length)
      throw new RangeError(`no room for ${end - at} bytes at ${at} of ${destination.length}`);
    let to = at + SEALED_HEADER_SIZE;
    aead.sealInto(destination.subarray(at, to), frame.subarray(0, HEADER_SIZE));
    for (let from = HEADER_SIZE; from < frame.length; from += MAX_PLAINTEXT, to += MAX_CIPHERTEXT) {
      const chunk = frame.subarray(from, from + MAX_PLAINTEXT);
      aead.sealInto(destination.subarray(to, to + chunk.length + MAC_SIZE), chunk);
    }
    return end;
  };
  return {
    seal: (frame) => {
      const sealed = new Uint8Array(sealedFrameLength(Math.max(frame.length, HEADER_SIZE)));
      sealInto(sealed, 0, frame);
      return sealed;
    },
    sealInto,
  };
}

/** A FrameOpener that opens one chunk after the other with `aead`. */
export function aeadFrameOpener(aead: Aead): FrameOpener {
  return new AeadFrameOpener(aead);
}

class AeadFrameOpener implements FrameOpener {
  readonly #aead: Aead;
  /** "failed" also while a part is being opened, so that whatever is thrown leaves the opener failed. */
  #turn: "header" | "payload" | "failed" = "header";
  #payloadLength = 0;

  constructor(aead: Aead) {
    this.#aead = aead;
  }

  openHeader(ciphertext: Uint8Array): Uint8Array {
    this.#take("header");
    expectLength(ciphertext, SEALED_HEADER_SIZE, "a sealed frame header");
    const header = this.#aead.open(ciphertext);
    this.#payloadLength = lengthIn(header);
    this.#turn = "payload";
    return header;
  }

  openPayload(ciphertext: Uint8Array, plaintextLength: number): Uint8Array {
    this.#take("payload");
    if (plaintextLength !== this.#payloadLength) {
      throw new NoiseError(
        "bad-length",
        `the header states ${this.#payloadLength} bytes of payload, not ${plaintextLength}`,
      );
    }
    expectLength(ciphertext, sealedPayloadLength(plaintextLength), "a sealed payload");
    const payload = new Uint8Array(plaintextLength);
    for (let from = 0, to = 0; to < plaintextLength; from += MAX_CIPHERTEXT, to += MAX_PLAINTEXT) {
      this.#aead.openInto(payload.subarray(to, to + MAX_PLAINTEXT), ciphertext.subarray(from, from + MAX_CIPHERTEXT));
    }
    this.#turn = "header";
    return payload;
  }

  #take(part: "header" | "payload"): void {
    const turn = this.#turn;
    this.#turn = "failed";
    if (turn === "failed")
      throw new NoiseError("decrypt-failed", "an earlier frame could not be opened; close the connection");
    if (turn !== part) throw new NoiseError("step-reused", `it is the ${turn}'s turn to be opened, not the ${part}'s`);
  }
}

function lengthIn(header: Uint8Array): number {
  return (header[3] ?? 0) | ((header[4] ?? 0) << 8) | ((header[5] ?? 0) << 16);
}
