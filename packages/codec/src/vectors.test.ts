import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import {
  type Decoded,
  type DialectMessage,
  decodeHeader,
  dialect,
  HEADER_SIZE,
  messageNames,
  type Protocol,
  readWorkerIdentity,
  type Tlv,
  u256,
  workerIdentityTlv,
} from "./index.ts";

interface Vector<P extends Protocol = Protocol> {
  readonly protocol: P;
  readonly message: DialectMessage<P>;
  readonly tlvs?: readonly Tlv[];
  /** Hex; blanks and `;` comments to the end of the line are left out. */
  readonly frame: string;
}

function hex(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text.replace(/;.*$/gm, "").replace(/\s/g, ""), "hex"));
}

function decode(protocol: Protocol, bytes: Uint8Array): Decoded<DialectMessage<Protocol>> {
  return dialect(protocol).decode({ ...decodeHeader(bytes), payload: bytes.subarray(HEADER_SIZE) });
}

function titled<T extends { readonly protocol: string; readonly message: { readonly name: string } }>(
  vectors: readonly T[],
): (readonly [string, T])[] {
  return vectors.map((each) => [`${each.message.name} (${each.protocol})`, each]);
}

/** Keeps the link between a vector's sub-protocol and its message. */
function vector<P extends Protocol>(each: Vector<P>): Vector {
  return each;
}

const ones = u256(hex("11".repeat(32)));
const twos = u256(hex("22".repeat(32)));

/** Put together by hand from the tables of the specification. */
const byHand: readonly Vector[] = [
  vector({
    protocol: "mining",
    message: {
      name: "SetupConnection",
      protocol: 0,
      minVersion: 2,
      maxVersion: 2,
      flags: 4,
      endpointHost: "pool.io",
      endpointPort: 3336,
      vendor: "Adit",
      hardwareVersion: "S9",
      firmware: "",
      deviceId: "é",
    },
    frame: `
      0000 00 1f0000            ; extension 0, no channel; type 0x00; 31 bytes
      00                        ; protocol: mining
      0200 0200                 ; min_version 2, max_version 2
      04000000                  ; flags: REQUIRES_VERSION_ROLLING
      07 706f6f6c2e696f         ; endpoint_host "pool.io"
      080d                      ; endpoint_port 3336 = 0x0d08
      04 41646974               ; vendor "Adit"
      02 5339                   ; hardware_version "S9"
      00                        ; firmware ""
      02 c3a9                   ; device_id "é", two bytes of UTF-8`,
  }),
  vector({
    protocol: "mining",
    message: {
      name: "OpenExtendedMiningChannelSuccess",
      requestId: 0x01020304,
      channelId: 5,
      target: ones,
      extranonceSize: 16,
      extranoncePrefix: Uint8Array.of(0xaa, 0xbb, 0xcc, 0xdd),
      groupChannelId: 6,
    },
    frame: `
      0000 14 330000            ; extension 0, no channel; type 0x14; 51 bytes
      04030201                  ; request_id
      05000000                  ; channel_id
      ${"11".repeat(32)}        ; target
      1000                      ; extranonce_size 16
      04 aabbccdd               ; extranonce_prefix
      06000000                  ; group_channel_id`,
  }),
  vector({
    protocol: "mining",
    message: {
      name: "NewExtendedMiningJob",
      channelId: 1,
      jobId: 2,
      minNtime: 0x6553f100,
      version: 0x20000000,
      versionRollingAllowed: true,
      merklePath: [ones, twos],
      coinbaseTxPrefix: Uint8Array.of(1, 2, 3),
      coinbaseTxSuffix: new Uint8Array(256).fill(0x5a),
    },
    frame: `
      0080 1f 5a0100            ; extension 0 with channel bit; type 0x1f; 346 bytes
      01000000                  ; channel_id
      02000000                  ; job_id
      01 00f15365               ; min_ntime: there is one, 0x6553f100
      00000020                  ; version
      01                        ; version_rolling_allowed
      02                        ; merkle_path: two hashes
      ${"11".repeat(32)}
      ${"22".repeat(32)}
      0300 010203               ; coinbase_tx_prefix, 3 bytes
      0001                      ; coinbase_tx_suffix, 256 bytes
      ${"5a".repeat(256)}`,
  }),
  vector({
    protocol: "mining",
    message: { name: "NewMiningJob", channelId: 1, jobId: 2, minNtime: null, version: 0x20000000, merkleRoot: twos },
    frame: `
      0080 15 2d0000            ; extension 0 with channel bit; type 0x15; 45 bytes
      01000000                  ; channel_id
      02000000                  ; job_id
      00                        ; min_ntime: none, a future job
      00000020                  ; version
      ${"22".repeat(32)}        ; merkle_root`,
  }),
  vector({
    protocol: "mining",
    message: {
      name: "SubmitSharesExtended",
      channelId: 1,
      sequenceNumber: 0x0a0b0c0d,
      jobId: 3,
      nonce: 0xdeadbeef,
      ntime: 0x6553f101,
      version: 0x2000e000,
      extranonce: Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8),
    },
    tlvs: [workerIdentityTlv("Worker_001")],
    frame: `
      0080 1b 300000            ; extension 0 with channel bit; type 0x1b; 48 bytes
      01000000                  ; channel_id
      0d0c0b0a                  ; sequence_number
      03000000                  ; job_id
      efbeadde                  ; nonce
      01f15365                  ; ntime
      00e00020                  ; version
      08 0102030405060708       ; extranonce
      0002 01 000a              ; TLV, big-endian: extension 0x0002, field 0x01, 10 bytes
      576f726b65725f303031      ; "Worker_001"`,
  }),
  vector({
    protocol: "mining",
    message: {
      name: "SubmitSharesSuccess",
      channelId: 1,
      lastSequenceNumber: 20,
      newSubmitsAcceptedCount: 10,
      newSharesSum: 0x0100000000n,
    },
    frame: `
      0080 1c 140000            ; extension 0 with channel bit; type 0x1c; 20 bytes
      01000000                  ; channel_id
      14000000                  ; last_sequence_number
      0a000000                  ; new_submits_accepted_count
      0000000001000000          ; new_shares_sum`,
  }),
  vector({
    protocol: "mining",
    message: {
      name: "SetNewPrevHash",
      channelId: 1,
      jobId: 2,
      prevHash: ones,
      minNtime: 0x6553f102,
      nbits: 0x1703a30c,
    },
    frame: `
      0080 20 300000            ; extension 0 with channel bit; type 0x20; 48 bytes
      01000000                  ; channel_id
      02000000                  ; job_id
      ${"11".repeat(32)}        ; prev_hash
      02f15365                  ; min_ntime
      0ca30317                  ; nbits`,
  }),
  vector({
    protocol: "mining",
    message: {
      name: "OpenStandardMiningChannel",
      requestId: 1,
      userIdentity: "a.b",
      nominalHashRate: 1.5,
      maxTarget: ones,
    },
    frame: `
      0000 10 2c0000            ; extension 0, no channel; type 0x10; 44 bytes
      01000000                  ; request_id
      03 612e62                 ; user_identity "a.b"
      0000c03f                  ; nominal_hash_rate 1.5
      ${"11".repeat(32)}        ; max_target`,
  }),
  vector({
    protocol: "mining",
    message: { name: "RequestExtensions", requestId: 1, requestedExtensions: [2, 0x4003] },
    frame: `
      0100 00 080000            ; extension 0x0001, no channel; type 0x00; 8 bytes
      0100                      ; request_id
      0200 0200 0340            ; requested_extensions: two`,
  }),
  vector({
    protocol: "template_distribution",
    message: {
      name: "SetNewPrevHash",
      templateId: 0x0102030405060708n,
      prevHash: ones,
      headerTimestamp: 0x6553f103,
      nBits: 0x207fffff,
      target: twos,
    },
    frame: `
      0000 72 500000            ; extension 0, no channel; type 0x72; 80 bytes
      0807060504030201          ; template_id
      ${"11".repeat(32)}        ; prev_hash
      03f15365                  ; header_timestamp
      ffff7f20                  ; nBits
      ${"22".repeat(32)}        ; target`,
  }),
  vector({
    protocol: "template_distribution",
    message: {
      name: "NewTemplate",
      templateId: 9n,
      futureTemplate: false,
      version: 0x20000000,
      coinbaseTxVersion: 2,
      coinbasePrefix: Uint8Array.of(0x03, 0x40, 0xd1, 0x0c),
      coinbaseTxInputSequence: 0xfffffffe,
      coinbaseTxValueRemaining: 312_500_000n,
      coinbaseTxOutputsCount: 1,
      coinbaseTxOutputs: Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 1, 0x6a),
      coinbaseTxLocktime: 839_999,
      merklePath: [twos],
    },
    frame: `
      0000 71 570000            ; extension 0, no channel; type 0x71; 87 bytes
      0900000000000000          ; template_id
      00                        ; future_template
      00000020                  ; version
      02000000                  ; coinbase_tx_version
      04 0340d10c               ; coinbase_prefix
      feffffff                  ; coinbase_tx_input_sequence
      205fa012 00000000         ; coinbase_tx_value_remaining 312,500,000 = 0x12a05f20
      01000000                  ; coinbase_tx_outputs_count
      0a00 0000000000000000016a ; coinbase_tx_outputs, 10 bytes
      3fd10c00                  ; coinbase_tx_locktime 839,999 = 0x0cd13f
      01                        ; merkle_path: one hash
      ${"22".repeat(32)}`,
  }),
  // stratum-mining/stratum at 26802203: sv2/parsers-sv2/src/lib.rs, new_mining_job_serialization
  vector({
    protocol: "mining",
    message: {
      name: "NewMiningJob",
      channelId: 0x04030201,
      jobId: 0x08070605,
      minNtime: 0x0c0b0a09,
      version: 0x100f0e0d,
      merkleRoot: u256(Uint8Array.from({ length: 32 }, (_, index) => 17 + index)),
    },
    frame: `
      0080 15 310000 01020304 05060708 01 090a0b0c 0d0e0f10
      1112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f30`,
  }),
  // stratum-mining/stratum at 26802203: sv2/parsers-sv2/src/lib.rs, push_solution_serialization
  vector({
    protocol: "job_declaration",
    message: {
      name: "PushSolution",
      extranonce: Uint8Array.of(1, 2, 3, 4),
      prevHash: u256(Uint8Array.from({ length: 32 }, (_, index) => 5 + index)),
      nonce: 0x11223344,
      ntime: 0x55667788,
      nbits: 0x99aabbcc,
      version: 0xddeeff00,
    },
    frame: `
      0000 60 350000 04 01020304
      05060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f2021222324
      44332211 88776655 ccbbaa99 00ffeedd`,
  }),
];

describe("frames put together by hand, and those of SRI's own tests", () => {
  test.each(titled(byHand))("%s is encoded to the very bytes", (_, { protocol, message, tlvs, frame }) => {
    const encoded = dialect<Protocol>(protocol).encode(message, tlvs);
    expect(Buffer.from(encoded).toString("hex")).toBe(Buffer.from(hex(frame)).toString("hex"));
  });

  test.each(titled(byHand))("%s is decoded from them", (_, { protocol, message, tlvs = [], frame }) => {
    expect(decode(protocol, hex(frame))).toEqual({ kind: "message", message, tlvs });
  });
});

/** Frames that SRI's crates encoded. `source` in the file says which, and how it came about. */
interface SriFrames {
  readonly workerIdentityTlv?: { readonly userIdentity: string; readonly bytes: string };
  readonly frames: readonly {
    readonly protocol: Protocol;
    readonly message: { readonly name: string };
    /** The worker's name in a TLV field behind the message. */
    readonly userIdentity?: string;
    readonly frame: string;
  }[];
}

function sriFrames(file: string): SriFrames {
  return JSON.parse(readFileSync(new URL(`./vectors/${file}`, import.meta.url), "utf8")) as SriFrames;
}

/** A message as the files write it: bytes in hex, bigints in decimal, numbers that JSON has not by name. */
function plain(message: object): unknown {
  return JSON.parse(
    JSON.stringify(message, (_, value: unknown) => {
      if (value instanceof Uint8Array) return Buffer.from(value).toString("hex");
      if (typeof value === "number" && !Number.isFinite(value)) return String(value);
      return typeof value === "bigint" ? value.toString() : value;
    }),
  );
}

describe.each(["sri-frames.json", "sri-random-frames.json"])("frames encoded by SRI's crates, of %s", (file) => {
  const sri = sriFrames(file);

  test.each(titled(sri.frames))("%s means the same here", (_, { protocol, message, userIdentity, frame }) => {
    const decoded = decode(protocol, hex(frame));
    if (decoded.kind !== "message") throw new Error(decoded.kind);
    expect(plain(decoded.message)).toEqual(message);
    expect(readWorkerIdentity(decoded.tlvs)).toBe(userIdentity);
    expect(decoded.tlvs).toHaveLength(userIdentity === undefined ? 0 : 1);
  });

  test.each(titled(sri.frames))("%s comes out byte for byte", (_, { protocol, frame }) => {
    const decoded = decode(protocol, hex(frame));
    if (decoded.kind !== "message") throw new Error(decoded.kind);
    const encoded = dialect<Protocol>(protocol).encode(decoded.message, decoded.tlvs, "little");
    expect(Buffer.from(encoded).toString("hex")).toBe(frame);
  });

  test("cover every message", () => {
    const covered = new Set(
      sri.frames.map(({ frame }) => {
        const { extensionType, messageType } = decodeHeader(hex(frame));
        return `${extensionType}:${messageType}`;
      }),
    );
    expect(messageNames.filter(({ extensionType, type }) => !covered.has(`${extensionType}:${type}`))).toEqual([]);
  });
});

describe("the worker identity TLV of SRI's crates", () => {
  const { frames, workerIdentityTlv: theirs } = sriFrames("sri-frames.json");

  test("is read behind a share, its numbers little-endian", () => {
    const share = frames.find(({ message }) => message.name === "SubmitSharesExtended");
    if (share === undefined || theirs === undefined) throw new Error("no SubmitSharesExtended, or no TLV");
    const payload = hex(share.frame.slice(2 * HEADER_SIZE) + theirs.bytes);
    const decoded = dialect("mining").decode({ ...decodeHeader(hex(share.frame)), payload });
    expect(decoded.kind === "message" && readWorkerIdentity(decoded.tlvs)).toBe(theirs.userIdentity);
  });
});
