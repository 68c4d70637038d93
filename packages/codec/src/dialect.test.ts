import { describe, expect, expectTypeOf, test } from "vitest";
import {
  CodecError,
  type DialectMessage,
  decodeHeader,
  dialect,
  type Frame,
  HEADER_SIZE,
  type MiningMessage,
  protocolNumber,
  type SetNewPrevHash,
  type SetTarget,
  type SubmitSharesExtended,
  type TemplateSetNewPrevHash,
  type U256,
  u256,
  workerIdentityTlv,
} from "./index.ts";

const mining = dialect("mining");
const templates = dialect("template_distribution");

const share: SubmitSharesExtended = {
  name: "SubmitSharesExtended",
  channelId: 0xfffffffe,
  sequenceNumber: 1,
  jobId: 2,
  nonce: 3,
  ntime: 4,
  version: 5,
  extranonce: Uint8Array.of(6, 7),
};

function frameOf(bytes: Uint8Array): Frame {
  return { ...decodeHeader(bytes), payload: bytes.subarray(HEADER_SIZE) };
}

function frame(extensionType: number, messageType: number, payload: readonly number[] = []): Frame {
  return { extensionType, channelMsg: false, messageType, payload: Uint8Array.from(payload) };
}

describe("encoding", () => {
  test("makes one frame whose header says what follows", () => {
    const bytes = mining.encode(share, [workerIdentityTlv("rig 1")]);
    expect(decodeHeader(bytes)).toEqual({
      extensionType: 0,
      channelMsg: true,
      messageType: 0x1b,
      length: bytes.length - HEADER_SIZE,
    });
    expect(bytes.length).toBe(HEADER_SIZE + 27 + 10);
  });

  test("makes bytes that the next encoding does not touch", () => {
    const first = mining.encode(share);
    const copy = first.slice();
    mining.encode({ ...share, nonce: 99 });
    expect(first).toEqual(copy);
  });

  test("names the field whose value does not fit", () => {
    const extranonce = new Uint8Array(33);
    expect(() => mining.encode({ ...share, extranonce })).toThrow(
      new CodecError("value-out-of-range", "SubmitSharesExtended.extranonce"),
    );
    expect(() => mining.encode({ ...share, jobId: 2 ** 32 })).toThrow(
      new CodecError("value-out-of-range", "SubmitSharesExtended.jobId"),
    );
  });

  test("works again after a message that did not fit", () => {
    const before = mining.encode(share);
    expect(() => mining.encode({ ...share, version: -1 })).toThrow(CodecError);
    expect(mining.encode(share)).toEqual(before);
  });

  test("writes a payload of 16,777,215 bytes and refuses one more", () => {
    const message = (last: number): DialectMessage<"template_distribution"> => ({
      name: "RequestTransactionDataSuccess",
      templateId: 1n,
      excessData: new Uint8Array(),
      transactionList: [new Uint8Array(16_000_000).fill(1), new Uint8Array(last).fill(2)],
    });
    const room = 0xffffff - 8 - 2 - 2 - 3 - 16_000_000 - 3;
    const bytes = templates.encode(message(room));
    expect(bytes.length).toBe(HEADER_SIZE + 0xffffff);
    expect(templates.decode(frameOf(bytes))).toMatchObject({ kind: "message", tlvs: [] });
    expect(() => templates.encode(message(room + 1))).toThrow(
      new CodecError("frame-too-large", "RequestTransactionDataSuccess.transactionList"),
    );
  });

  test("refuses a message of another sub-protocol, and one that does not exist", () => {
    const target = { name: "SetTarget", channelId: 1, maximumTarget: u256(new Uint8Array(32)) } as const;
    // @ts-expect-error a template provider does not send SetTarget
    expect(() => templates.encode(target)).toThrow(new CodecError("wrong-protocol", "SetTarget"));
    // @ts-expect-error there is no such message
    expect(() => templates.encode({ name: "Hello" })).toThrow(new CodecError("unknown-message", "Hello"));
  });
});

describe("decoding", () => {
  test("gives the message and the TLV fields behind it", () => {
    const tlvs = [workerIdentityTlv("rig 1"), { extensionType: 0x4001, fieldType: 2, value: Uint8Array.of(1) }];
    expect(mining.decode(frameOf(mining.encode(share, tlvs)))).toEqual({ kind: "message", message: share, tlvs });
  });

  test("reads TLV fields of either byte order", () => {
    const tlvs = [workerIdentityTlv("rig 1")];
    expect(mining.decode(frameOf(mining.encode(share, tlvs, "little")))).toMatchObject({ tlvs });
  });

  test("names the message when what follows it is not TLV fields", () => {
    const { payload, ...header } = frameOf(mining.encode(share));
    const bad = { ...header, payload: Uint8Array.from([...payload, 0, 2, 1]) };
    expect(() => mining.decode(bad)).toThrow(new CodecError("bad-tlv", "SubmitSharesExtended.tlv"));
  });

  test("names the field at which the payload ends", () => {
    const { payload, ...header } = frameOf(mining.encode(share));
    expect(() => mining.decode({ ...header, payload: payload.subarray(0, 22) })).toThrow(
      new CodecError("short-read", "SubmitSharesExtended.version"),
    );
  });

  test("tolerates a channel_msg bit that disagrees with the table", () => {
    const sent = frameOf(mining.encode(share));
    expect(mining.decode({ ...sent, channelMsg: false })).toEqual({ kind: "message", message: share, tlvs: [] });
  });

  test("gives frames of an unknown extension back, with the channel they are for", () => {
    const local = frame(0x4abc, 0x1b, [1, 0, 0, 0x80, 9]);
    expect(mining.decode(local)).toEqual({ kind: "unknown-extension", channelId: null, frame: local });
    const routed = { ...local, channelMsg: true };
    expect(mining.decode(routed)).toEqual({ kind: "unknown-extension", channelId: 0x80000001, frame: routed });
  });

  test("refuses a channel message of an unknown extension that has no channel id", () => {
    expect(() => mining.decode({ ...frame(0x4abc, 1, [1, 2, 3]), channelMsg: true })).toThrow(
      new CodecError("short-read", "unknown-extension.channelId"),
    );
  });

  test.each([
    ["0x1e, which is reserved", 0, 0x1e],
    ["0x52, which job declaration leaves out", 0, 0x52],
    ["0xff", 0, 0xff],
    ["0x03 of extension 0x0001", 1, 3],
    ["0x00 of extension 0x0002, which has only TLV fields", 2, 0],
  ])("gives message type %s back as unknown", (_, extensionType, messageType) => {
    const unknown = frame(extensionType, messageType, [1]);
    expect(mining.decode(unknown)).toEqual({ kind: "unknown-message", frame: unknown });
  });

  test("refuses a message of another sub-protocol", () => {
    expect(() => mining.decode(frame(0, 0x70, [0, 0, 0, 0, 0, 0]))).toThrow(
      new CodecError("wrong-protocol", "CoinbaseOutputConstraints"),
    );
    expect(() => templates.decode(frame(0, 0x1b))).toThrow(new CodecError("wrong-protocol", "SubmitSharesExtended"));
  });

  test("keeps apart the two messages called SetNewPrevHash", () => {
    const hash = u256(new Uint8Array(32).fill(1));
    const fromPool: SetNewPrevHash = {
      name: "SetNewPrevHash",
      channelId: 1,
      jobId: 2,
      prevHash: hash,
      minNtime: 3,
      nbits: 4,
    };
    const fromNode: TemplateSetNewPrevHash = {
      name: "SetNewPrevHash",
      templateId: 1n,
      prevHash: hash,
      headerTimestamp: 2,
      nBits: 3,
      target: hash,
    };
    expect(mining.decode(frameOf(mining.encode(fromPool)))).toMatchObject({ message: fromPool });
    expect(templates.decode(frameOf(templates.encode(fromNode)))).toMatchObject({ message: fromNode });
  });
});

test("the sub-protocols have the numbers of SetupConnection.protocol", () => {
  expect(protocolNumber).toEqual({ mining: 0, job_declaration: 1, template_distribution: 2 });
});

test("the types of messages follow from the table", () => {
  expectTypeOf<SetTarget>().toEqualTypeOf<{
    readonly name: "SetTarget";
    readonly channelId: number;
    readonly maximumTarget: U256;
  }>();
  expectTypeOf<Extract<MiningMessage, { name: "NewMiningJob" }>["minNtime"]>().toEqualTypeOf<number | null>();
  expectTypeOf<DialectMessage<"mining">["name"]>().not.toEqualTypeOf<string>();
});
