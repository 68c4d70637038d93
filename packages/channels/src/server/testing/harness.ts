import {
  bip34Prefix,
  decodeTransaction,
  type Hash,
  hash,
  MAX_TARGET,
  meetsTarget,
  pureHashing,
  type Target,
  type TxOutput,
  targetFromBytes,
  targetToBytes,
} from "@adit/bitcoin";
import {
  type MiningMessage,
  type NewExtendedMiningJob,
  type NewMiningJob,
  type NewTemplate,
  type SubmitSharesExtended,
  type SubmitSharesStandard,
  type TemplateSetNewPrevHash,
  u256,
} from "@adit/codec";
import type { AcceptedShare, MiningServerOptions, ServerEffect, ServerInput } from "../effects.ts";
import { defaultChannelLimits } from "../limits.ts";
import { MiningServer } from "../mining-server.ts";
import { coinbaseOf } from "../share-validation.ts";

/** A target no test reaches by accident. */
export const HARD_BITS = 0x1d00ffff;
/** Regtest's: every second hash is a block. */
export const EASY_BITS = 0x207fffff;
export const START = 1_700_000_000_000;
const REWARD: TxOutput = { value: 5_000_000_000n, script: Uint8Array.of(0x51) };

export function bytes32(seed: number): Uint8Array {
  return new Uint8Array(32).fill(seed);
}

export function template(templateId: number, changes: Partial<NewTemplate> = {}): NewTemplate {
  return {
    name: "NewTemplate",
    templateId: BigInt(templateId),
    futureTemplate: true,
    version: 0x20000000,
    coinbaseTxVersion: 2,
    coinbasePrefix: bip34Prefix(800_000),
    coinbaseTxInputSequence: 0xfffffffe,
    coinbaseTxValueRemaining: REWARD.value,
    coinbaseTxOutputsCount: 0,
    coinbaseTxOutputs: new Uint8Array(0),
    // A path of its own for each template, so that work on two templates is never the same.
    merklePath: [u256(bytes32(templateId & 0xff)), u256(bytes32(7))],
    coinbaseTxLocktime: 799_999,
    ...changes,
  };
}

export function prevHash(templateId: number, changes: Partial<TemplateSetNewPrevHash> = {}): TemplateSetNewPrevHash {
  return {
    name: "SetNewPrevHash",
    templateId: BigInt(templateId),
    prevHash: u256(bytes32(0xa0)),
    headerTimestamp: START / 1000,
    nBits: HARD_BITS,
    target: u256(targetToBytes(MAX_TARGET)),
    ...changes,
  };
}

export interface Submit {
  readonly message: SubmitSharesStandard | SubmitSharesExtended;
  readonly hash: Hash;
}

interface ClientJob {
  readonly message: NewMiningJob | NewExtendedMiningJob;
  readonly prefix: Uint8Array;
  target: Target | undefined;
  tip: Tip | undefined;
}

interface Tip {
  readonly prevHash: Uint8Array;
  readonly ntime: number;
  readonly nbits: number;
}

/** What a client knows of one channel, from the messages sent to it and nothing else. */
export class ClientView {
  readonly channelId: number;
  readonly kind: "standard" | "extended";
  readonly groupChannelId: number;
  readonly extranonceSize: number;
  readonly jobs: Map<number, ClientJob> = new Map();
  prefix: Uint8Array;
  target: Target;
  active: number | undefined;
  #tip: Tip | undefined;
  #sequenceNumber = 0;

  constructor(opened: {
    readonly channelId: number;
    readonly groupChannelId: number;
    readonly extranoncePrefix: Uint8Array;
    readonly target: Uint8Array;
    readonly extranonceSize?: number;
  }) {
    this.channelId = opened.channelId;
    this.groupChannelId = opened.groupChannelId;
    this.kind = opened.extranonceSize === undefined ? "standard" : "extended";
    this.extranonceSize = opened.extranonceSize ?? 0;
    this.prefix = opened.extranoncePrefix;
    this.target = targetFromBytes(opened.target);
  }

  receive(message: MiningMessage): void {
    switch (message.name) {
      case "NewMiningJob":
      case "NewExtendedMiningJob": {
        const job: ClientJob = { message, prefix: this.prefix, target: undefined, tip: undefined };
        this.jobs.set(message.jobId, job);
        if (message.minNtime === null) return;
        if (this.#tip === undefined) throw new Error("an active job before any prevhash");
        this.#activate(job, { ...this.#tip, ntime: message.minNtime });
        return;
      }
      case "SetNewPrevHash": {
        const job = this.jobs.get(message.jobId);
        if (job === undefined || job.tip !== undefined) throw new Error(`job ${message.jobId} was not sent as future`);
        this.#tip = { prevHash: message.prevHash, ntime: message.minNtime, nbits: message.nbits };
        this.#activate(job, this.#tip);
        return;
      }
      case "SetTarget":
        this.target = targetFromBytes(message.maximumTarget);
        return;
      case "SetExtranoncePrefix":
        this.prefix = message.extranoncePrefix;
        return;
      default:
        return;
    }
  }

  /** Builds a share for a job that meets its target, or, if asked, one that does not. */
  mine(
    options: {
      readonly jobId?: number;
      readonly ntime?: number;
      readonly version?: number;
      readonly extranonce?: Uint8Array;
      readonly from?: number;
      readonly accept?: (hash: Hash) => boolean;
    } = {},
  ): Submit {
    const { jobId = this.active ?? 0 } = options;
    const { job, tip, targetBytes } = this.#work(jobId);
    const { accept = (found: Hash) => meetsTarget(found, targetBytes), from = 0 } = options;
    const { extranonce = new Uint8Array(this.extranonceSize) } = options;
    const { version = job.message.version, ntime = tip.ntime } = options;
    for (let nonce = from; ; nonce += 1) {
      const found = hashOf(job, { extranonce, version, ntime, nonce });
      if (accept(found)) return { message: this.#submit({ jobId, nonce, ntime, version }, extranonce), hash: found };
    }
  }

  #work(jobId: number): { readonly job: ClientJob; readonly tip: Tip; readonly targetBytes: Uint8Array } {
    const job = this.jobs.get(jobId);
    if (job?.tip === undefined || job.target === undefined) throw new Error(`no work in job ${jobId}`);
    return { job, tip: job.tip, targetBytes: targetToBytes(job.target) };
  }

  #submit(
    share: { readonly jobId: number; readonly nonce: number; readonly ntime: number; readonly version: number },
    extranonce: Uint8Array,
  ): Submit["message"] {
    this.#sequenceNumber += 1;
    const fields = { channelId: this.channelId, sequenceNumber: this.#sequenceNumber, ...share };
    return this.kind === "standard"
      ? { name: "SubmitSharesStandard", ...fields }
      : { name: "SubmitSharesExtended", ...fields, extranonce };
  }

  #activate(job: ClientJob, tip: Tip): void {
    job.tip = tip;
    job.target = this.target;
    this.active = job.message.jobId;
  }
}

function hashOf(
  job: ClientJob,
  share: { readonly extranonce: Uint8Array; readonly version: number; readonly ntime: number; readonly nonce: number },
): Hash {
  const { message, prefix, tip } = job;
  if (tip === undefined) throw new Error("a future job has no header");
  const merkleRoot =
    message.name === "NewMiningJob"
      ? message.merkleRoot
      : pureHashing.merkleRoot(coinbaseOf(message, prefix, share.extranonce), message.merklePath);
  const { prevHash, nbits } = tip;
  const header = new Uint8Array(80);
  const view = new DataView(header.buffer);
  view.setUint32(0, share.version, true);
  header.set(prevHash, 4);
  header.set(merkleRoot, 36);
  view.setUint32(68, share.ntime, true);
  view.setUint32(72, nbits, true);
  view.setUint32(76, share.nonce, true);
  return pureHashing.headerHash(header);
}

/** A server with a clock, and clients that believe only what they are sent. */
export class Harness {
  readonly server: MiningServer;
  readonly channels: Map<number, ClientView[]> = new Map();
  readonly recorded: AcceptedShare[] = [];
  now: number = START;
  store: (share: AcceptedShare) => "recorded" | "duplicate" | "failed" | undefined = () => "recorded";
  #requestId = 0;

  constructor(changes: Partial<MiningServerOptions> = {}) {
    this.server = new MiningServer({
      hashing: pureHashing,
      extranonce: { totalSize: 20, prefix: Uint8Array.of(1), indexSize: 3, start: 0 },
      rewardOutputs: () => [REWARD],
      coinbaseTag: "adit",
      sharesPerMinute: 6,
      shareBatchSize: 10,
      ackIntervalMs: 5000,
      // A share takes eleven hashes.
      minHashrate: 1,
      vardiff: null,
      versionRollingAllowed: true,
      limits: defaultChannelLimits,
      customJobs: null,
      ...changes,
    });
  }

  /** Feeds one input, delivers the messages, and answers `record-share` as the store does. */
  input(input: ServerInput): readonly ServerEffect[] {
    const effects = this.server.handle(input, this.now);
    for (const effect of effects) {
      if (effect.type === "send") for (const connection of effect.to) this.#deliver(connection, effect.message);
    }
    const answers = effects.flatMap((effect) => {
      if (effect.type !== "record-share") return [];
      const result = this.store(effect.share);
      if (result === "recorded") this.recorded.push(effect.share);
      return result === undefined ? [] : this.input({ type: "share-recorded", share: effect.share, result });
    });
    return [...effects, ...answers];
  }

  connect(connection: number, flags = 0, extensions: readonly number[] = []): void {
    this.channels.set(connection, []);
    this.input({ type: "connected", connection, flags, extensions: new Set(extensions) });
  }

  send(connection: number, message: MiningMessage, worker?: string): readonly ServerEffect[] {
    return this.input({ type: "message", connection, message, worker });
  }

  tick(seconds = 1): readonly ServerEffect[] {
    const effects: ServerEffect[] = [];
    for (let second = 0; second < seconds; second += 1) {
      this.now += 1000;
      effects.push(...this.input({ type: "tick" }));
    }
    return effects;
  }

  /** A future template and the prevhash that activates it. */
  newTip(templateId: number, changes: Partial<TemplateSetNewPrevHash> = {}): readonly ServerEffect[] {
    const future = this.input({ type: "template", template: template(templateId) });
    return [...future, ...this.input({ type: "prev-hash", prevHash: prevHash(templateId, changes) })];
  }

  newWork(templateId: number, changes: Partial<NewTemplate> = {}): readonly ServerEffect[] {
    return this.input({ type: "template", template: template(templateId, { futureTemplate: false, ...changes }) });
  }

  open(
    connection: number,
    kind: "standard" | "extended" = "extended",
    changes: { userIdentity?: string; nominalHashRate?: number; maxTarget?: Target; minExtranonceSize?: number } = {},
  ): ClientView {
    const before = this.channels.get(connection)?.length ?? 0;
    const effects = this.requestOpen(connection, kind, changes);
    const view = this.channels.get(connection)?.[before];
    if (view === undefined) throw new Error(`not opened: ${JSON.stringify(messages(effects))}`);
    return view;
  }

  close(connection: number, view: ClientView): readonly ServerEffect[] {
    const views = this.channels.get(connection) ?? [];
    this.channels.set(
      connection,
      views.filter((other) => other !== view),
    );
    return this.send(connection, { name: "CloseChannel", channelId: view.channelId, reasonCode: "" });
  }

  requestOpen(
    connection: number,
    kind: "standard" | "extended" = "extended",
    changes: {
      userIdentity?: string;
      nominalHashRate?: number;
      maxTarget?: Target;
      minExtranonceSize?: number;
      requestId?: number;
    } = {},
  ): readonly ServerEffect[] {
    this.#requestId += 1;
    const common = {
      requestId: changes.requestId ?? this.#requestId,
      userIdentity: changes.userIdentity ?? "alice",
      nominalHashRate: changes.nominalHashRate ?? 0,
      maxTarget: u256(targetToBytes(changes.maxTarget ?? MAX_TARGET)),
    };
    return this.send(
      connection,
      kind === "standard"
        ? { name: "OpenStandardMiningChannel", ...common }
        : { name: "OpenExtendedMiningChannel", ...common, minExtranonceSize: changes.minExtranonceSize ?? 4 },
    );
  }

  #deliver(connection: number, message: MiningMessage): void {
    const views = this.channels.get(connection);
    if (views === undefined) return;
    if (message.name === "OpenStandardMiningChannelSuccess" || message.name === "OpenExtendedMiningChannelSuccess") {
      views.push(new ClientView(message));
      return;
    }
    if (!("channelId" in message)) return;
    for (const view of views) {
      const addressed = message.channelId === view.channelId || message.channelId === view.groupChannelId;
      if (addressed) view.receive(message);
    }
  }
}

/** The messages among effects. */
export function messages(effects: readonly ServerEffect[]): readonly MiningMessage[] {
  return effects.flatMap((effect) => (effect.type === "send" ? [effect.message] : []));
}

/** The messages of one name among effects. */
export function messagesNamed<Name extends MiningMessage["name"]>(
  effects: readonly ServerEffect[],
  name: Name,
): readonly Extract<MiningMessage, { name: Name }>[] {
  return messages(effects).filter(
    (message): message is Extract<MiningMessage, { name: Name }> => message.name === name,
  );
}

/** The effects of one type. */
export function effectsOf<Type extends ServerEffect["type"]>(
  effects: readonly ServerEffect[],
  type: Type,
): readonly Extract<ServerEffect, { type: Type }>[] {
  return effects.filter((effect): effect is Extract<ServerEffect, { type: Type }> => effect.type === type);
}

/** The error codes of the `SubmitShares.Error` messages among effects. */
export function shareErrors(effects: readonly ServerEffect[]): readonly string[] {
  return messagesNamed(effects, "SubmitSharesError").map(({ errorCode }) => errorCode);
}

/** The size of the coinbase script in a full coinbase. */
export function scriptSigSize(coinbase: Uint8Array): number {
  return decodeTransaction(coinbase).inputs[0]?.script.length ?? 0;
}

/** A hash from a number. */
export function hashOfNumber(value: number): Hash {
  const bytes = new Uint8Array(32);
  new DataView(bytes.buffer).setUint32(0, value, true);
  return hash(pureHashing.sha256d(bytes));
}
