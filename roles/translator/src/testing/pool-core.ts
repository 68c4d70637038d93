import { bip34Prefix, MAX_TARGET, pureHashing, targetToBytes } from "@adit/bitcoin";
import { defaultChannelLimits, MiningServer, type MiningServerOptions } from "@adit/channels";
import {
  decodeHeader,
  dialect,
  HEADER_SIZE,
  type MiningMessage,
  type NewTemplate,
  type TemplateSetNewPrevHash,
  u256,
} from "@adit/codec";

/** A network target that no test reaches by accident. */
const HARD_BITS = 0x1d00ffff;
const mining = dialect("mining");

/** A pool without sockets and store, whose extranonce prefixes start with this byte. */
export function poolCore(serverId: number, changes: Partial<MiningServerOptions> = {}): MiningServer {
  return new MiningServer({
    hashing: pureHashing,
    extranonce: { totalSize: 20, prefix: Uint8Array.of(serverId), indexSize: 3, start: 0 },
    rewardOutputs: ({ coinbaseTxValueRemaining: value }) => [{ value, script: Uint8Array.of(0x51) }],
    coinbaseTag: "adit",
    sharesPerMinute: 6,
    shareBatchSize: 1,
    ackIntervalMs: 1000,
    minHashrate: 1,
    vardiff: null,
    versionRollingAllowed: true,
    limits: { ...defaultChannelLimits, shareBurst: 1_000_000, ladderMinShares: 1_000_000 },
    customJobs: null,
    ...changes,
  });
}

/** The template of this number. */
export function templateOf(at: number, futureTemplate: boolean): NewTemplate {
  return {
    name: "NewTemplate",
    templateId: BigInt(at),
    futureTemplate,
    version: 0x20000000,
    coinbaseTxVersion: 2,
    coinbasePrefix: bip34Prefix(800_000 + at),
    coinbaseTxInputSequence: 0xfffffffe,
    coinbaseTxValueRemaining: 5_000_000_000n,
    coinbaseTxOutputsCount: 0,
    coinbaseTxOutputs: new Uint8Array(0),
    merklePath: [u256(new Uint8Array(32).fill(at & 0xff))],
    coinbaseTxLocktime: 0,
  };
}

/** The tip of this number, which a template is for. */
export function prevHashOf(templateId: bigint, tip: number, now: number): TemplateSetNewPrevHash {
  return {
    name: "SetNewPrevHash",
    templateId,
    prevHash: u256(new Uint8Array(32).fill(tip)),
    headerTimestamp: Math.floor(now / 1000),
    nBits: HARD_BITS,
    target: u256(targetToBytes(MAX_TARGET)),
  };
}

/** A message as it is after it has been a frame. */
export function overTheWire(message: MiningMessage): MiningMessage {
  const bytes = mining.encode(message);
  const { extensionType, channelMsg, messageType } = decodeHeader(bytes.subarray(0, HEADER_SIZE));
  const decoded = mining.decode({ extensionType, channelMsg, messageType, payload: bytes.slice(HEADER_SIZE) });
  if (decoded.kind !== "message") throw new Error(`not decoded: ${message.name}`);
  return decoded.message as MiningMessage;
}
