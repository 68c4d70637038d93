import { sha512 } from "@noble/hashes/sha2.js";
import { bytesToHex, utf8ToBytes } from "@noble/hashes/utils.js";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  type AwaitingAct2,
  authorityPublicKey,
  type Entropy,
  initiator,
  NoiseError,
  type NoiseErrorCode,
  pureCrypto,
  ResponderIdentity,
  type ResponderIdentityOptions,
  type StreamCiphers,
  signCertificate,
  verifyCertificate,
} from "./index.ts";

const crypto = pureCrypto;
const authoritySecretKey = new Uint8Array(32).fill(3);
const authority = authorityPublicKey(authoritySecretKey);
const NOW = 1_750_000_000_000;
const HOUR = 3600;

function entropyFrom(seed: string): Entropy {
  let counter = 0;
  return (length) => sha512(utf8ToBytes(`${seed}/${counter++}`)).slice(0, length);
}
function identity(options: Partial<ResponderIdentityOptions> = {}): ResponderIdentity {
  const entropy = entropyFrom("responder");
  return new ResponderIdentity({ crypto, entropy, authoritySecretKey, certValiditySec: HOUR, ...options });
}
/** Always with the same ephemeral key. */
function act1(authorityKey: Uint8Array | null = authority): { bytes: Uint8Array; next: AwaitingAct2 } {
  return initiator({ crypto, entropy: entropyFrom("initiator"), authority: authorityKey }).act1();
}
const withCode = (code: NoiseErrorCode) => expect.objectContaining({ name: "NoiseError", code });
const frame = Uint8Array.of(0, 0, 1, 2, 0, 0, 42, 43);

/** Flips one bit of the byte at `offset`, another bit for each offset. */
function flip(bytes: Uint8Array, offset: number): void {
  bytes[offset] = (bytes[offset] ?? 0) ^ (1 << (offset % 8));
}

function expectSession(from: StreamCiphers, to: StreamCiphers): void {
  for (let n = 0; n < 3; n++) {
    const sealed = from.sealer.seal(frame);
    expect(to.opener.openHeader(sealed.subarray(0, 22))).toEqual(frame.subarray(0, 6));
    expect(to.opener.openPayload(sealed.subarray(22), 2)).toEqual(frame.subarray(6));
  }
}

describe("the handshake", () => {
  test("gives both sides the same session", () => {
    const client = act1();
    expect(client.bytes.length).toBe(64);
    const server = identity().begin(NOW).act1(client.bytes);
    expect(server.bytes.length).toBe(234);
    const { ciphers, certificate } = client.next.act2(server.bytes, NOW);
    expectSession(ciphers, server.ciphers);
    expectSession(server.ciphers, ciphers);
    expect(certificate).toMatchObject({ version: 0, validFrom: NOW / 1000, notValidAfter: NOW / 1000 + HOUR });
  });

  test("gives both sides the same ciphers for a second stream, once, and other ones than the first's", () => {
    const client = act1();
    const server = identity().begin(NOW).act1(client.bytes);
    const { ciphers } = client.next.act2(server.bytes, NOW);
    const [clientSecond, serverSecond] = [ciphers.secondStream(), server.ciphers.secondStream()];
    expectSession(clientSecond, serverSecond);
    expectSession(serverSecond, clientSecond);
    // The first stream has not moved, and neither opens what the other sealed, in either direction.
    expectSession(ciphers, server.ciphers);
    expect(() => ciphers.secondStream()).toThrow(withCode("step-reused"));
    const sealedBy = () => {
      const again = act1();
      const answer = identity().begin(NOW).act1(again.bytes);
      const session = again.next.act2(answer.bytes, NOW).ciphers;
      const { secondStream, ...first } = session;
      const streams = [first, answer.ciphers, secondStream(), answer.ciphers.secondStream()];
      return streams.map(({ sealer }) => Buffer.from(sealer.seal(frame)).toString("hex"));
    };
    expect(new Set(sealedBy()).size).toBe(4);
  });

  test("derives a second stream's keys the same way in every release", () => {
    const client = act1();
    const server = identity().begin(NOW).act1(client.bytes);
    const { ciphers } = client.next.act2(server.bytes, NOW);
    const [fromClient, fromServer] = [ciphers.secondStream(), server.ciphers.secondStream()];
    // Computed once from docs/dual-stream.md with Node's own hashes and cipher.
    expect(bytesToHex(fromClient.sealer.seal(frame))).toBe(
      "8b24946e6684fbe5d3a4d9f112bed922340b6aab5fe72508f85264837fff63f238c03a0af2fc2933",
    );
    expect(bytesToHex(fromServer.sealer.seal(frame))).toBe(
      "6bed1dc2ab13b4d9868740783569e5e22f7f874b74c7d125dfba38d754da8991a66669dd6b524022",
    );
  });

  test("gives a second stream that no other handshake opens", () => {
    const session = (seed: string): StreamCiphers[] => {
      const client = initiator({ crypto, entropy: entropyFrom(seed), authority }).act1();
      const server = identity().begin(NOW).act1(client.bytes);
      return [client.next.act2(server.bytes, NOW).ciphers.secondStream(), server.ciphers.secondStream()];
    };
    const [client] = session("one");
    const [, server] = session("another");
    const sealed = client!.sealer.seal(frame);
    expect(() => server!.opener.openHeader(sealed.subarray(0, 22))).toThrow(withCode("decrypt-failed"));
  });

  test("depends on entropy and time alone", () => {
    const run = () => identity().begin(NOW).act1(act1().bytes).bytes;
    expect(run()).toEqual(run());
  });

  test("does not give a session when any bit of act 1 was flipped on the way", () => {
    const server = identity();
    for (let offset = 0; offset < 64; offset++) {
      const { bytes, next } = act1();
      flip(bytes, offset);
      const answer = server.begin(NOW).act1(bytes);
      expect(() => next.act2(answer.bytes, NOW)).toThrow(withCode("decrypt-failed"));
    }
  });

  test("does not give a session when any bit of act 2 was flipped on the way", () => {
    const answer = identity().begin(NOW).act1(act1().bytes).bytes;
    for (let offset = 0; offset < 234; offset++) {
      const tampered = answer.slice();
      flip(tampered, offset);
      expect(() => act1().next.act2(tampered, NOW)).toThrow(withCode("decrypt-failed"));
    }
    expect(act1().next.act2(answer, NOW).certificate.version).toBe(0);
  });

  test("takes each step once, also after a failure", () => {
    const start = initiator({ crypto, entropy: entropyFrom("initiator"), authority });
    const { bytes, next } = start.act1();
    expect(() => start.act1()).toThrow(withCode("step-reused"));
    const server = identity().begin(NOW);
    const answer = server.act1(bytes).bytes;
    expect(() => server.act1(bytes)).toThrow(withCode("step-reused"));
    expect(() => next.act2(new Uint8Array(234), NOW)).toThrow(withCode("decrypt-failed"));
    expect(() => next.act2(answer, NOW)).toThrow(withCode("step-reused"));
  });

  test("refuses acts of another length", () => {
    for (const length of [0, 63, 65, 234]) {
      expect(() => identity().begin(NOW).act1(new Uint8Array(length))).toThrow(withCode("bad-length"));
    }
    for (const length of [0, 64, 233, 235]) {
      expect(() => act1().next.act2(new Uint8Array(length), NOW)).toThrow(withCode("bad-length"));
    }
  });

  test("refuses an act 2 made for somebody else, and its own bytes sent back", () => {
    const other = initiator({ crypto, entropy: entropyFrom("another"), authority }).act1();
    const answer = identity().begin(NOW).act1(other.bytes).bytes;
    expect(() => act1().next.act2(answer, NOW)).toThrow(withCode("decrypt-failed"));
    const client = act1();
    const reflected = new Uint8Array(234);
    reflected.set(client.bytes);
    expect(() => client.next.act2(reflected, NOW)).toThrow(withCode("decrypt-failed"));
  });

  test("gives directions of which neither opens its own frames, and sessions that do not open each other's", () => {
    const server = identity();
    const session = () => {
      const client = act1();
      const { bytes, ciphers } = server.begin(NOW).act1(client.bytes);
      return { client: client.next.act2(bytes, NOW).ciphers, server: ciphers };
    };
    const [one, two] = [session(), session()];
    const sealed = one.client.sealer.seal(frame);
    expect(() => one.client.opener.openHeader(sealed.subarray(0, 22))).toThrow(withCode("decrypt-failed"));
    expect(() => two.server.opener.openHeader(sealed.subarray(0, 22))).toThrow(withCode("decrypt-failed"));
  });

  test("answers any 64 bytes with an act 2, and any 234 bytes with a NoiseError", () => {
    const server = identity();
    const edges = [0, 1, 255].map((byte) => new Uint8Array(64).fill(byte));
    const act1s = fc.oneof(fc.uint8Array({ minLength: 64, maxLength: 64 }), fc.constantFrom(...edges));
    fc.assert(
      fc.property(act1s, (bytes) => {
        expect(server.begin(NOW).act1(bytes).bytes.length).toBe(234);
      }),
      { numRuns: 60 },
    );
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 234, maxLength: 234 }), (bytes) => {
        expect(() => act1().next.act2(bytes, NOW)).toThrow(NoiseError);
      }),
      { numRuns: 60 },
    );
  });

  test("leaves the caller's bytes alone, and does not rely on them later", () => {
    const client = act1();
    const sent = client.bytes.slice();
    const server = identity().begin(NOW).act1(client.bytes);
    expect(client.bytes).toEqual(sent);
    client.bytes.fill(0);
    const received = server.bytes.slice();
    client.next.act2(server.bytes, NOW);
    expect(server.bytes).toEqual(received);
  });
});

describe("the initiator's trust", () => {
  const answerAt = (issued: number, bytes: Uint8Array) => identity().begin(issued).act1(bytes).bytes;
  const connect = (issued: number, now: number, authorityKey: Uint8Array | null = authority) => {
    const client = act1(authorityKey);
    return client.next.act2(answerAt(issued, client.bytes), now);
  };

  test("goes to the configured authority only", () => {
    const another = authorityPublicKey(new Uint8Array(32).fill(4));
    expect(() => connect(NOW, NOW, another)).toThrow(withCode("authority-mismatch"));
  });

  test("goes to anybody, at any time, when no authority is configured", () => {
    expect(connect(NOW, NOW + 10 * HOUR * 1000, null).certificate.version).toBe(0);
  });

  test("allows clocks to differ by ten seconds at both ends, and no more", () => {
    const start = NOW;
    const end = NOW + HOUR * 1000;
    for (const now of [start - 10_000, start, end, end + 10_000, end + 10_999]) connect(NOW, now);
    expect(() => connect(NOW, start - 10_001)).toThrow(withCode("certificate-not-yet-valid"));
    expect(() => connect(NOW, start - 11_000)).toThrow(withCode("certificate-not-yet-valid"));
    expect(() => connect(NOW, end + 11_000)).toThrow(withCode("certificate-expired"));
    expect(() => connect(NOW, Number.NaN)).toThrow(Error);
  });

  test("needs an authority that is a key", () => {
    expect(() => act1(new Uint8Array(32).fill(255))).toThrow(withCode("bad-key"));
    expect(() => act1(authority.subarray(1))).toThrow(withCode("bad-key"));
  });

  test("ends at a certificate format it does not know", () => {
    const signed = signCertificate(crypto, entropyFrom("certificate"), {
      authoritySecretKey,
      serverPublicKey: authority,
      validFrom: NOW / 1000,
      validitySec: HOUR,
    });
    const expected = { authority, now: NOW };
    verifyCertificate(crypto, signed, expected);
    expect(() => verifyCertificate(crypto, { ...signed, version: 1 }, expected)).toThrow(
      withCode("certificate-version"),
    );
    const changed = [{ validFrom: 0 }, { notValidAfter: 0xffffffff }, { serverPublicKey: new Uint8Array(32) }];
    for (const change of changed) {
      expect(() => verifyCertificate(crypto, { ...signed, ...change }, expected)).toThrow(
        withCode("authority-mismatch"),
      );
    }
  });
});

describe("a responder's identity", () => {
  test("shows one certificate for half its life, then another with another static key", () => {
    const server = identity();
    const first = server.certificate(NOW);
    expect(server.certificate(NOW + 1_799_999)).toBe(first);
    const second = server.certificate(NOW + 1_800_000);
    expect(second.validFrom).toBe(first.validFrom + 1800);
    expect(second.serverPublicKey).not.toEqual(first.serverPublicKey);
    verifyCertificate(crypto, second, { authority, now: NOW + 1_800_000 });
  });

  test("makes a new certificate when the clock was set back, as clients would refuse the old one", () => {
    const server = identity();
    server.certificate(NOW);
    expect(server.certificate(NOW - 60_000).validFrom).toBe(NOW / 1000 - 60);
  });

  test("finishes a handshake that began before its certificate was replaced", () => {
    const server = identity();
    const client = act1();
    const begun = server.begin(NOW + 1_799_999);
    server.certificate(NOW + 1_800_000);
    const answer = begun.act1(client.bytes);
    expectSession(client.next.act2(answer.bytes, NOW + 1_800_000).ciphers, answer.ciphers);
  });

  test("caps a certificate's end at the last second a U32 can say", () => {
    const server = identity({ certValiditySec: 0xffffffff });
    expect(server.certificate(NOW).notValidAfter).toBe(0xffffffff);
  });

  test("prepares ephemeral keys up to its bound, and uses each once", () => {
    const server = identity({ ephemeralPool: 3 });
    expect(server.prepare(0)).toBe(3);
    expect(server.prepare(2)).toBe(1);
    expect(server.prepare(5)).toBe(0);
    expect(server.prepare(1)).toBe(0);
    const ephemerals = new Set<string>();
    for (let n = 0; n < 5; n++) {
      const client = act1();
      const answer = server.begin(NOW).act1(client.bytes);
      ephemerals.add(bytesToHex(answer.bytes.subarray(0, 64)));
      expectSession(client.next.act2(answer.bytes, NOW).ciphers, answer.ciphers);
    }
    expect(ephemerals.size).toBe(5);
    expect(server.prepare(0)).toBe(3);
  });

  test("spends no ephemeral key on a peer that connects and stays silent or sends rubbish", () => {
    const server = identity({ ephemeralPool: 1 });
    server.prepare(1);
    server.begin(NOW);
    expect(() => server.begin(NOW).act1(new Uint8Array(63))).toThrow(withCode("bad-length"));
    expect(server.prepare(0)).toBe(0);
  });

  test("keeps its own copy of the authority's key", () => {
    const secret = authoritySecretKey.slice();
    const server = identity({ authoritySecretKey: secret });
    secret.fill(0);
    verifyCertificate(crypto, server.certificate(NOW), { authority: server.authorityPublicKey, now: NOW });
    expect(server.authorityPublicKey).toEqual(authority);
  });

  test("refuses settings out of bounds", () => {
    for (const certValiditySec of [0, -1, 1.5, Number.NaN, 2 ** 32]) {
      expect(() => identity({ certValiditySec })).toThrow(RangeError);
    }
    for (const ephemeralPool of [-1, 1025, 0.5]) expect(() => identity({ ephemeralPool })).toThrow(RangeError);
    expect(() => identity({ authoritySecretKey: new Uint8Array(32) })).toThrow(withCode("bad-key"));
  });
});
