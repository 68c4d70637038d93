import { compactSize, encodeOutputs, pureHashing, type Target, type TxOutput } from "@adit/bitcoin";
import {
  type CustomJobErrorCode,
  type CustomJobPolicy,
  type CustomJobRequest,
  defaultChannelLimits,
  MiningServer,
  type ServerInput,
  type TokenVerdict,
} from "@adit/channels";
import {
  type DeclareMiningJob,
  type JobDeclarationMessage,
  jobDeclaration,
  type MiningMessage,
  type NewTemplate,
  REQUIRES_WORK_SELECTION,
  type TemplateSetNewPrevHash,
  type U256,
  WORKER_HASHRATE_TRACKING,
} from "@adit/codec";
import type { JdClientInput } from "../effects.ts";
import { prevHash, START, template } from "./templates.ts";

type Sent = MiningMessage | JobDeclarationMessage;

/** How an upstream behaves until a test changes it. */
export interface TestUpstreamOptions {
  readonly place: number;
  /** Its extranonce prefix; what else there is up to 20 bytes may be rolled. */
  readonly prefix: Uint8Array;
  readonly outputs: readonly TxOutput[];
  /** What the pool's target is for. */
  readonly sharesPerMinute?: number;
  /** A job declarator in place of the one here, and what the pool makes of its tokens. */
  readonly declarator?: {
    readonly answer: (message: JobDeclarationMessage) => readonly JobDeclarationMessage[];
    readonly judge: CustomJobPolicy["judge"];
  };
}

const CONNECTION = 1;

/** The output script that an upstream pays to. */
export function payoutScript(place: number): Uint8Array {
  return Uint8Array.of(0x00, 0x14, ...new Uint8Array(20).fill(place + 1));
}

/**
 * A pool and a job declarator as one: the pool is a real mining server, which checks every custom job and every share;
 * the job declarator knows no transactions and takes everything. What either is sent can be held back and looked at.
 */
export class TestUpstream {
  readonly place: number;
  /** Everything that was sent to it, held back or not. */
  readonly received: Sent[] = [];
  /** Workers named with shares. */
  readonly workers: (string | undefined)[] = [];
  /** Shares that the pool has credited. */
  credited = 0;
  /** The pool's id of the session's channel. */
  channelId = 0;
  /** Names of messages that are not answered before {@link release}. */
  readonly held: Set<Sent["name"]> = new Set();
  /** Whether it can be reached. */
  isUp = true;
  /** Whether it takes connections and says nothing. */
  isMute = false;
  /** Whether the pool forbids version rolling. */
  fixedVersion = false;
  /** Whether the pool takes worker names. */
  namesWorkers = true;
  outputs: readonly TxOutput[];
  /** What the pool says of the next custom jobs; taken when undefined. */
  refusal: CustomJobErrorCode | undefined;
  /** What the job declarator says of the next declarations. */
  declarationError: string | undefined;
  /** Positions that the job declarator asks for before it takes a job. */
  missing: readonly number[] = [];
  /** Number of the session that is connected. */
  session: number | undefined;
  readonly #options: TestUpstreamOptions;
  readonly #pool: MiningServer;
  readonly #say: (input: JdClientInput) => void;
  readonly #waiting: Sent[] = [];
  readonly #declared = new Map<number, DeclareMiningJob>();
  #now = START;
  #tokens = 0;
  #asleep = 0;

  constructor(options: TestUpstreamOptions, say: (input: JdClientInput) => void) {
    const { place, prefix, outputs, sharesPerMinute = 6 } = options;
    this.#options = options;
    this.place = place;
    this.outputs = outputs;
    this.#say = say;
    this.#pool = new MiningServer({
      hashing: pureHashing,
      extranonce: { totalSize: 20, prefix, indexSize: 1, start: 1 },
      rewardOutputs: ({ coinbaseTxValueRemaining: value }) => [{ value, script: payoutScript(place) }],
      coinbaseTag: "pool",
      sharesPerMinute,
      shareBatchSize: 1,
      ackIntervalMs: 1000,
      minHashrate: 1,
      vardiff: null,
      versionRollingAllowed: true,
      limits: { ...defaultChannelLimits, shareBurst: 100_000, firstChannelMs: 1e9, noShareMs: 1e9 },
      customJobs: {
        payoutScript: outputs[0]?.script ?? new Uint8Array(),
        minPayoutPercent: 100,
        judge: (request) => this.#judge(request),
      },
    });
  }

  /** The pool goes over to a tip. */
  newTip(tip: number, nBits: number): void {
    const templateId = BigInt(10_000 + tip);
    this.follow(template(templateId, tip), prevHash(templateId, tip, nBits));
  }

  /** The pool's own template provider names a template and its tip. */
  follow(work: NewTemplate, tip: TemplateSetNewPrevHash): void {
    this.pool({ type: "template", template: work });
    this.pool({ type: "prev-hash", prevHash: tip });
  }

  /** Takes a session up, or lets it fail. */
  connect(session: number): void {
    if (!this.isUp) return this.#say({ type: "session-down", session, reason: "connection refused" });
    if (this.isMute) {
      this.#asleep = session;
      return;
    }
    this.session = session;
    const { fixedVersion, namesWorkers } = this;
    const extensions = new Set([WORKER_HASHRATE_TRACKING]);
    this.pool({ type: "connected", connection: CONNECTION, flags: REQUIRES_WORK_SELECTION, extensions });
    this.#say({ type: "session-up", session, setup: { fixedVersion, namesWorkers } });
  }

  /** Takes up the session that was met with silence. */
  wake(): void {
    this.isMute = false;
    this.connect(this.#asleep);
  }

  /** The session's connections are ended, by whomever. */
  disconnect(): void {
    this.session = undefined;
    this.#waiting.length = 0;
    this.pool({ type: "disconnected", connection: CONNECTION });
  }

  /** Breaks the connections, as when the process dies. */
  crash(): void {
    const { session } = this;
    this.isUp = false;
    this.disconnect();
    if (session !== undefined) this.#say({ type: "session-down", session, reason: "connection reset" });
  }

  /** A message to pool or job declarator. */
  take(message: Sent, worker?: string): void {
    this.received.push(message);
    if (message.name === "SubmitSharesExtended") this.workers.push(worker);
    if (this.held.has(message.name)) this.#waiting.push(message);
    else this.#answer(message);
  }

  /** Answers what was held back, and holds nothing back any more. */
  release(): void {
    this.held.clear();
    for (const message of this.#waiting.splice(0)) this.#answer(message);
  }

  /** The messages of one name that came. */
  named<Name extends Sent["name"]>(name: Name): readonly Extract<Sent, { name: Name }>[] {
    return this.received.filter((message): message is Extract<Sent, { name: Name }> => message.name === name);
  }

  /** Time passes. */
  tick(now: number): void {
    this.#now = now;
    this.pool({ type: "tick" });
  }

  /** Makes the pool's target harder, as it would be for more hashrate. */
  harden(maximumTarget: U256): void {
    const { channelId } = this;
    const message = { name: "UpdateChannel", channelId, nominalHashRate: 0, maximumTarget } as const;
    this.pool({ type: "message", connection: CONNECTION, message, worker: undefined });
  }

  /** Makes the pool's target no harder than this. */
  ease(target: Target): void {
    this.pool({ type: "hardest-target", target });
  }

  /** Gives the channel another extranonce prefix. */
  rotate(): void {
    this.pool({ type: "rotate-extranonce-prefix", connection: CONNECTION, channelId: this.channelId });
  }

  /** Feeds the pool's core, and sends on what it answers. */
  pool(input: ServerInput): void {
    for (const effect of this.#pool.handle(input, this.#now)) {
      if (effect.type === "send") this.#sayPool(effect.message);
      else if (effect.type === "record-share") {
        this.credited += 1;
        this.pool({ type: "share-recorded", share: effect.share, result: "recorded" });
      }
    }
  }

  /** Says something to the session, as its pool. */
  sayPool(message: MiningMessage): void {
    this.#sayPool(message);
  }

  /** Says something to the session, as its job declarator. */
  sayJds(message: JobDeclarationMessage): void {
    if (this.session !== undefined) this.#say({ type: "jds-message", session: this.session, message });
  }

  #sayPool(message: MiningMessage): void {
    if (message.name === "OpenExtendedMiningChannelSuccess") this.channelId = message.channelId;
    if (this.session !== undefined) this.#say({ type: "pool-message", session: this.session, message });
  }

  #judge(request: CustomJobRequest): TokenVerdict {
    const { refusal } = this;
    if (refusal !== undefined) return { kind: "refused", errorCode: refusal };
    const accepted = { kind: "accepted", declarationId: request.message.miningJobToken.slice() } as const;
    return this.#options.declarator?.judge(request) ?? accepted;
  }

  #answer(message: Sent): void {
    const { declarator } = this.#options;
    if (declarator !== undefined && isForDeclarator(message)) {
      for (const answer of declarator.answer(message)) this.sayJds(answer);
      return;
    }
    switch (message.name) {
      case "AllocateMiningJobToken":
        return this.#allocate(message.requestId);
      case "DeclareMiningJob":
        this.#declared.set(message.requestId, message);
        if (this.missing.length === 0) return this.#declare(message.requestId);
        return this.sayJds({
          name: "ProvideMissingTransactions",
          requestId: message.requestId,
          unknownTxPositionList: this.missing,
        });
      case "ProvideMissingTransactionsSuccess":
        return this.#declare(message.requestId);
      case "PushSolution":
        return;
      default:
        return this.pool({
          type: "message",
          connection: CONNECTION,
          message: message as MiningMessage,
          worker: undefined,
        });
    }
  }

  #allocate(requestId: number): void {
    this.#tokens += 1;
    const { outputs } = this;
    const bytes = encodeOutputs(outputs);
    const coinbaseTxOutputs = Uint8Array.of(...compactSize(outputs.length), ...bytes);
    const miningJobToken = Uint8Array.of(this.place, this.#tokens);
    this.sayJds({ name: "AllocateMiningJobTokenSuccess", requestId, miningJobToken, coinbaseTxOutputs });
  }

  #declare(requestId: number): void {
    const errorCode = this.declarationError;
    if (errorCode !== undefined) {
      return this.sayJds({ name: "DeclareMiningJobError", requestId, errorCode, errorDetails: new Uint8Array() });
    }
    const { miningJobToken } = this.#declared.get(requestId) ?? { miningJobToken: new Uint8Array() };
    const newMiningJobToken = Uint8Array.of(0xdd, ...miningJobToken);
    this.sayJds({ name: "DeclareMiningJobSuccess", requestId, newMiningJobToken });
  }
}

function isForDeclarator(message: Sent): message is JobDeclarationMessage {
  return Object.hasOwn(jobDeclaration.rows, message.name);
}
