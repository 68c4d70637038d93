import { MAX_TARGET, type Target, targetToBytes } from "@adit/bitcoin";
import { type CommonMessage, decodeHeader, dialect, HEADER_SIZE, type MiningMessage, u256 } from "@adit/codec";
import fc from "fast-check";
import { expect, test } from "vitest";
import type { ClientChannel } from "./client-channel.ts";
import type { ClientEvent, ClientFaultCode } from "./client-event.ts";
import type { ClientJob } from "./client-job.ts";
import type { ClientLimits } from "./client-limits.ts";
import { MiningClient } from "./mining-client.ts";

const limits: ClientLimits = {
  maxChannels: 3,
  maxPendingRequests: 4,
  maxFutureJobs: 3,
  maxPastJobs: 4,
  maxPendingSubmits: 5,
};
const JOB_IDS = Array.from({ length: 24 }, (_, id) => id);

type Named<Name extends string> = Extract<MiningMessage | CommonMessage, { name: Name }>;
type Values<Name extends MiningMessage["name"] | CommonMessage["name"]> = {
  readonly [Field in Exclude<keyof Named<Name>, "name">]: fc.Arbitrary<Named<Name>[Field]>;
};

function message<Name extends MiningMessage["name"] | CommonMessage["name"]>(
  name: Name,
  values: Values<Name>,
): fc.Arbitrary<MiningMessage | CommonMessage> {
  return fc.record({ name: fc.constant(name), ...values }) as unknown as fc.Arbitrary<MiningMessage | CommonMessage>;
}

/** Few ids, so that messages meet, channels and groups among them, and the odd ones at both ends. */
const channelId = fc.oneof({ weight: 20, arbitrary: fc.nat(7) }, { weight: 1, arbitrary: fc.constant(0xffffffff) });
const requestId = fc.nat(5);
const jobId = fc.nat(JOB_IDS.length - 1);
const u32 = fc.oneof(fc.nat(9), fc.constant(0xffffffff));
const bytes = (maxLength: number): fc.Arbitrary<Uint8Array> => fc.uint8Array({ maxLength });
const hash = fc.oneof(fc.nat(3), fc.constant(0xff)).map((fill) => u256(new Uint8Array(32).fill(fill)));
const text = fc.constantFrom("", "stale-share", "x".repeat(255));

const fromServer = fc.oneof(
  message("OpenStandardMiningChannelSuccess", {
    requestId,
    channelId,
    target: hash,
    extranoncePrefix: bytes(32),
    groupChannelId: channelId,
  }),
  message("OpenExtendedMiningChannelSuccess", {
    requestId,
    channelId,
    target: hash,
    extranonceSize: fc.constantFrom(0, 8, 32, 33, 0xffff),
    extranoncePrefix: bytes(32),
    groupChannelId: channelId,
  }),
  message("OpenMiningChannelError", { requestId, errorCode: text }),
  message("UpdateChannelError", { channelId, errorCode: text }),
  message("CloseChannel", { channelId, reasonCode: text }),
  message("SetExtranoncePrefix", { channelId, extranoncePrefix: bytes(32) }),
  message("SubmitSharesSuccess", {
    channelId,
    lastSequenceNumber: u32,
    newSubmitsAcceptedCount: u32,
    newSharesSum: fc.bigInt(0n, 2n ** 64n - 1n),
  }),
  message("SubmitSharesError", { channelId, sequenceNumber: u32, errorCode: text }),
  message("SetTarget", { channelId, maximumTarget: hash }),
  message("SetGroupChannel", { groupChannelId: channelId, channelIds: fc.array(channelId, { maxLength: 4 }) }),
  message("Reconnect", { newHost: text, newPort: fc.nat(0xffff) }),
  message("ChannelEndpointChanged", { channelId }),
);
const work = fc.oneof(
  message("NewMiningJob", { channelId, jobId, minNtime: fc.option(u32), version: u32, merkleRoot: hash }),
  message("NewExtendedMiningJob", {
    channelId,
    jobId,
    minNtime: fc.option(u32),
    version: u32,
    versionRollingAllowed: fc.boolean(),
    merklePath: fc.array(hash, { maxLength: 3 }),
    coinbaseTxPrefix: bytes(9),
    coinbaseTxSuffix: bytes(9),
  }),
  message("SetNewPrevHash", { channelId, jobId, prevHash: hash, minNtime: u32, nbits: u32 }),
);
/** What only a client, or nobody at this point, has reason to send. */
const misplaced = fc.oneof(
  message("SetupConnectionSuccess", { usedVersion: fc.constant(2), flags: u32 }),
  message("SubmitSharesStandard", { channelId, sequenceNumber: u32, jobId, nonce: u32, ntime: u32, version: u32 }),
  message("SetCustomMiningJobSuccess", { channelId, requestId, jobId }),
  message("SetCustomMiningJobError", { channelId, requestId, errorCode: text }),
);

type Step =
  | { readonly do: "hear"; readonly message: MiningMessage | CommonMessage }
  | { readonly do: "ask"; readonly requestId: number; readonly standard: boolean }
  | { readonly do: "submit"; readonly at: number }
  | { readonly do: "close"; readonly channelId: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ do: fc.constant("hear" as const), message: work }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant("hear" as const), message: fromServer }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("hear" as const), message: misplaced }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("ask" as const), requestId, standard: fc.boolean() }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("submit" as const), at: fc.nat(2) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("close" as const), channelId }) },
);

const wire = dialect("mining");

/** What the client makes of a message as it comes out of a receive buffer, and what overwrites that buffer. */
interface Heard {
  readonly events: ReturnType<MiningClient["handle"]>;
  readonly overwrite: () => void;
}

function hear(client: MiningClient, sent: MiningMessage | CommonMessage): Heard {
  const frame = wire.encode(sent);
  const payload = frame.subarray(HEADER_SIZE);
  const decoded = wire.decode({ ...decodeHeader(frame), payload });
  if (decoded.kind !== "message") throw new Error(`the wire lost ${sent.name}`);
  const events = client.handle(decoded.message as MiningMessage | CommonMessage, 0);
  return { events, overwrite: () => payload.fill(0xee) };
}

class Run {
  readonly client: MiningClient = new MiningClient({ limits });
  readonly seen: Set<string> = new Set();
  readonly #frozen = new Map<ClientJob, { readonly target: Target; readonly snapshot: unknown }>();
  readonly #numbers = new Map<ClientChannel, number>();

  take(next: Step): void {
    switch (next.do) {
      case "hear":
        this.#hear(next.message);
        return;
      case "ask":
        this.#ask(next);
        return;
      case "submit":
        this.#submit([...this.client.channels.values()][next.at]);
        return;
      case "close":
        this.client.close(next.channelId, "bye");
        return;
      default:
        next satisfies never;
    }
  }

  /** Everything the client holds is within its limits, and what was frozen did not change. */
  check(): void {
    expect(this.client.channels.size).toBeLessThanOrEqual(limits.maxChannels);
    for (const [id, channel] of this.client.channels) {
      expect(channel.channelId).toBe(id);
      expect(channel.open).toBe(true);
      expect(channel.target).toBeGreaterThan(0n);
      expect(channel.pendingSubmits).toBeLessThanOrEqual(limits.maxPendingSubmits);
      const jobs = JOB_IDS.flatMap((known) => channel.job(known) ?? []);
      const count = (state: ClientJob["state"]): number => jobs.filter((job) => job.state === state).length;
      expect(count("future")).toBeLessThanOrEqual(limits.maxFutureJobs);
      expect(count("past")).toBeLessThanOrEqual(limits.maxPastJobs);
      expect(count("stale")).toBeLessThanOrEqual(limits.maxPastJobs);
      expect(jobs.filter((job) => job.state === "active")).toEqual(channel.activeJob ? [channel.activeJob] : []);
    }
    for (const [job, { target, snapshot }] of this.#frozen) {
      expect(job.target).toBe(target);
      expect(contents(job)).toEqual(snapshot);
    }
  }

  #hear(sent: MiningMessage | CommonMessage): void {
    const { events, overwrite } = hear(this.client, sent);
    for (const event of events) {
      this.seen.add(event.type);
      if (event.type === "protocol-fault") this.seen.add(event.code);
      if (event.type === "job") {
        expect(event.channel.activeJob).toBe(event.job);
        expect(event.job.target).toBe(event.channel.target);
        this.#frozen.set(event.job, { target: event.job.target, snapshot: structuredClone(contents(event.job)) });
      }
    }
    overwrite();
  }

  #ask({ requestId: id, standard }: { readonly requestId: number; readonly standard: boolean }): void {
    const maxTarget = u256(targetToBytes(MAX_TARGET));
    const request = { requestId: id, userIdentity: "", nominalHashRate: 0, maxTarget };
    try {
      if (standard) this.client.openStandard(request);
      else this.client.openExtended({ ...request, minExtranonceSize: 8 });
    } catch (error) {
      expect((error as { code: unknown }).code).toMatch(/^(request-id-in-use|too-many-requests)$/);
    }
  }

  #submit(channel: ClientChannel | undefined): void {
    if (channel === undefined) return;
    const share = { jobId: 1, nonce: 1, ntime: 1, version: 1 };
    const extranonce = new Uint8Array(channel.extranonceSize);
    const message =
      channel.kind === "standard" ? channel.submitStandard(share) : channel.submitExtended({ ...share, extranonce });
    expect(message.sequenceNumber).toBe(this.#numbers.get(channel) ?? 0);
    this.#numbers.set(channel, message.sequenceNumber + 1);
    expect(() => wire.encode(message)).not.toThrow();
  }
}

/** What a miner reads of an active job; the merkle root is read too, since it is computed late. */
function contents(job: ClientJob): unknown {
  const { jobId: id, targetBytes, version, prevHash, nbits, minNtime, extranoncePrefix, merkleRoot } = job;
  const { coinbaseTxPrefix, coinbaseTxSuffix, merklePath } = job;
  const coinbase = { coinbaseTxPrefix, coinbaseTxSuffix, merklePath };
  return { id, targetBytes, version, prevHash, nbits, minNtime, extranoncePrefix, merkleRoot, coinbase };
}

test("whatever a server sends, nothing throws, state stays bounded, and a job to mine never changes", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200, size: "max" }), (steps) => {
      const run = new Run();
      for (const next of steps) run.take(next);
      run.check();
    }),
    { numRuns: 300 },
  );
});

test("the random messages above reach every kind of event", () => {
  const samples = fc.sample(fc.array(step, { minLength: 200, maxLength: 200, size: "max" }), { numRuns: 60, seed: 7 });
  const seen = samples.flatMap((steps) => {
    const run = new Run();
    for (const next of steps) run.take(next);
    return [...run.seen];
  });
  const expected: readonly (ClientEvent["type"] | ClientFaultCode)[] = [
    ...(["opened", "open-refused", "job", "future-job", "target", "prefix", "shares-accepted"] as const),
    ...(["share-rejected", "channel-closed", "update-refused", "reconnect", "protocol-fault"] as const),
    ...(["unknown-request", "bad-open", "unknown-channel", "unknown-job", "job-without-prev-hash"] as const),
    ...(["wrong-job-kind", "bad-target", "bad-group", "unexpected-message"] as const),
  ];
  expect(new Set(seen)).toEqual(new Set(expected));
});
