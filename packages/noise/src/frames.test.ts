import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  type AeadFunctions,
  CipherState,
  type FrameOpener,
  MAX_CIPHERTEXT,
  MAX_PLAINTEXT,
  NoiseError,
  pureCrypto,
  sealedFrameLength,
  sealedPayloadLength,
} from "./index.ts";

const key = new Uint8Array(32).fill(9);
const failed = expect.objectContaining({ code: "decrypt-failed" });
const code = (code: string) => expect.objectContaining({ code });

function frame(payload: Uint8Array): Uint8Array {
  const { length } = payload;
  return Uint8Array.from([0, 0x80, 0x1b, length & 0xff, (length >> 8) & 0xff, length >> 16, ...payload]);
}
function pattern(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => (i * 31) & 0xff);
}
function open(opener: FrameOpener, sealed: Uint8Array, payloadLength: number): Uint8Array {
  const header = opener.openHeader(sealed.subarray(0, 22));
  const payload = opener.openPayload(sealed.subarray(22), payloadLength);
  const frame = new Uint8Array(6 + payload.length);
  frame.set(header);
  frame.set(payload, 6);
  return frame;
}
/** Flips one bit of the byte at `offset`, another bit for each offset. */
function flip(bytes: Uint8Array, offset: number): void {
  bytes[offset] = (bytes[offset] ?? 0) ^ (1 << (offset % 8));
}
const same = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;

describe("sealed frames", () => {
  test("have 22 bytes of header and 16 bytes more for each chunk of 65,519", () => {
    const expected = [
      [0, 0],
      [1, 17],
      [65518, 65534],
      [65519, 65535],
      [65520, 65552],
      [131038, 131070],
      [131039, 131087],
      [0xffffff, 0xffffff + 257 * 16],
    ] as const;
    for (const [plain, sealed] of expected) expect(sealedPayloadLength(plain)).toBe(sealed);
    expect(MAX_CIPHERTEXT - MAX_PLAINTEXT).toBe(16);
  });

  test("open to what was sealed, at every chunk edge, one frame after the other", () => {
    const [sealer, opener] = [pureCrypto.frameSealer(key), pureCrypto.frameOpener(key)];
    for (const length of [0, 1, 65518, 65519, 65520, 131038, 131039, 1 << 20, 0]) {
      const plaintext = frame(pattern(length));
      const sealed = sealer.seal(plaintext);
      expect(sealed.length).toBe(22 + sealedPayloadLength(length));
      expect(same(open(opener, sealed, length), plaintext)).toBe(true);
    }
  });

  test("open whatever their payload is", () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 5 }), (payloads) => {
        const [sealer, opener] = [pureCrypto.frameSealer(key), pureCrypto.frameOpener(key)];
        for (const payload of payloads) {
          expect(open(opener, sealer.seal(frame(payload)), payload.length)).toEqual(frame(payload));
        }
      }),
    );
  });

  test("are not delivered with a single bit flipped, at any offset, and the opener stays failed", () => {
    const plaintext = frame(pattern(44));
    for (let offset = 0; offset < 22 + 60; offset++) {
      const [sealer, opener] = [pureCrypto.frameSealer(key), pureCrypto.frameOpener(key)];
      const sealed = sealer.seal(plaintext);
      const tampered = sealed.slice();
      flip(tampered, offset);
      expect(() => open(opener, tampered, 44)).toThrow(failed);
      expect(() => opener.openHeader(sealed.subarray(0, 22))).toThrow(failed);
      expect(() => opener.openPayload(sealed.subarray(22), 44)).toThrow(failed);
    }
  });

  test("are not delivered when the last of several chunks is tampered with", () => {
    const sealed = pureCrypto.frameSealer(key).seal(frame(pattern(131039)));
    flip(sealed, sealed.length - 1);
    expect(() => open(pureCrypto.frameOpener(key), sealed, 131039)).toThrow(failed);
  });

  test("are not delivered twice, out of order, or after a lost one", () => {
    const sealer = pureCrypto.frameSealer(key);
    const sealed = [1, 2, 3].map((n) => sealer.seal(frame(pattern(n))));
    const deliver = (order: readonly number[]) => () => {
      const opener = pureCrypto.frameOpener(key);
      for (const n of order) open(opener, sealed[n] ?? new Uint8Array(0), n + 1);
    };
    deliver([0, 1, 2])();
    for (const order of [[0, 0], [1], [0, 2], [1, 0]]) expect(deliver(order)).toThrow(failed);
  });

  test("have chunks that cannot change places", () => {
    const length = 2 * MAX_PLAINTEXT;
    const sealed = pureCrypto.frameSealer(key).seal(frame(new Uint8Array(length)));
    const swapped = Buffer.concat([
      sealed.subarray(0, 22),
      sealed.subarray(22 + MAX_CIPHERTEXT),
      sealed.subarray(22, 22 + MAX_CIPHERTEXT),
    ]);
    expect(() => open(pureCrypto.frameOpener(key), swapped, length)).toThrow(failed);
  });

  test("are the same sealed into a place of a larger array, which is left alone around it", () => {
    for (const length of [0, 9, MAX_PLAINTEXT, MAX_PLAINTEXT + 1]) {
      const plain = frame(pattern(length));
      const alone = pureCrypto.frameSealer(key).seal(plain);
      expect(sealedFrameLength(plain.length)).toBe(alone.length);
      const room = new Uint8Array(alone.length + 10).fill(7);
      expect(pureCrypto.frameSealer(key).sealInto(room, 4, plain)).toBe(4 + alone.length);
      expect(same(room.subarray(4, 4 + alone.length), alone)).toBe(true);
      expect([...room.subarray(0, 4), ...room.subarray(4 + alone.length)]).toEqual(Array.from({ length: 10 }, () => 7));
    }
  });

  test("are not begun where there is no room for the whole, and no nonce is spent", () => {
    const sealer = pureCrypto.frameSealer(key);
    const plain = frame(pattern(9));
    expect(() => sealer.sealInto(new Uint8Array(50), 4, plain)).toThrow(RangeError);
    expect(same(sealer.seal(plain), pureCrypto.frameSealer(key).seal(plain))).toBe(true);
  });

  test("are refused by the sealer when the header does not state the payload's length", () => {
    const sealer = pureCrypto.frameSealer(key);
    expect(() => sealer.seal(frame(pattern(9)).subarray(0, 14))).toThrow(code("bad-length"));
    expect(() => sealer.seal(new Uint8Array(5))).toThrow(code("bad-length"));
    expect(open(pureCrypto.frameOpener(key), sealer.seal(frame(pattern(9))), 9)).toEqual(frame(pattern(9)));
  });

  test("are opened header first, then payload, each with its own length", () => {
    const sealed = pureCrypto.frameSealer(key).seal(frame(pattern(9)));
    const [header, payload] = [sealed.subarray(0, 22), sealed.subarray(22)];
    const opener = () => pureCrypto.frameOpener(key);
    const opened = () => {
      const opener = pureCrypto.frameOpener(key);
      opener.openHeader(header);
      return opener;
    };
    expect(() => opener().openPayload(payload, 9)).toThrow(code("step-reused"));
    expect(() => opened().openHeader(header)).toThrow(code("step-reused"));
    expect(() => opener().openHeader(sealed.subarray(0, 21))).toThrow(code("bad-length"));
    expect(() => opened().openPayload(payload, 8)).toThrow(code("bad-length"));
    expect(() => opened().openPayload(payload.subarray(1), 9)).toThrow(code("bad-length"));
  });
});

describe("a cipher's nonce", () => {
  /** Records the nonces it is given, and puts the counter (the nonce itself) where `at` says on the first call. */
  function recorder(at?: readonly number[]): { nonces: string[]; functions: AeadFunctions } {
    const nonces: string[] = [];
    const note = (nonce: Uint8Array) => {
      if (nonces.length === 0 && at !== undefined) nonce.set(at, 4);
      nonces.push(Buffer.from(nonce).toString("hex"));
    };
    return {
      nonces,
      functions: {
        encrypt: (_destination, _plaintext, { nonce }) => note(nonce),
        decrypt: (_destination, ciphertext, { nonce }) => {
          note(nonce);
          return ciphertext[0] !== 0xff;
        },
      },
    };
  }

  test("is 32 zero bits and a little-endian counter that carries over 32 bits", () => {
    const { nonces, functions } = recorder([0xfe, 0xff, 0xff, 0xff, 0, 0, 0, 0]);
    const cipher = new CipherState(functions, key);
    for (let i = 0; i < 4; i++) cipher.seal(new Uint8Array(1));
    expect(nonces).toEqual([
      "00000000feffffff00000000",
      "00000000ffffffff00000000",
      "000000000000000001000000",
      "000000000100000001000000",
    ]);
  });

  test("does not advance when opening fails", () => {
    const { nonces, functions } = recorder();
    const cipher = new CipherState(functions, key);
    expect(() => cipher.open(new Uint8Array(20).fill(0xff))).toThrow(failed);
    cipher.open(new Uint8Array(20));
    cipher.open(new Uint8Array(20));
    expect(nonces).toEqual(["00".repeat(12), "00".repeat(12), `0000000001${"00".repeat(7)}`]);
  });

  test("never takes its last value", () => {
    const { nonces, functions } = recorder([0xfe, ...Array.from({ length: 7 }, () => 0xff)]);
    const cipher = new CipherState(functions, key);
    cipher.seal(new Uint8Array(1));
    expect(() => cipher.seal(new Uint8Array(1))).toThrow(code("nonce-exhausted"));
    expect(() => cipher.open(new Uint8Array(20))).toThrow(code("nonce-exhausted"));
    expect(nonces.length).toBe(1);
  });

  test("is not spent on a ciphertext without room for a MAC, or a key of the wrong size", () => {
    expect(() => pureCrypto.aead(key).open(new Uint8Array(15))).toThrow(code("bad-length"));
    expect(() => pureCrypto.aead(new Uint8Array(31))).toThrow(NoiseError);
  });
});
