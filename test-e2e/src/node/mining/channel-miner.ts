import { displayHash, encodeHeader, hashFromDisplay, pureHashing, sha256d, targetFromBits } from "@adit/bitcoin";
import { type ClientChannel, type ClientEvent, type ClientJob, MiningClient } from "@adit/channels";
import { type MiningMessage, type SubmitSharesExtended, type SubmitSharesStandard, u256 } from "@adit/codec";
import { HASHRATE } from "../../harness/configs.ts";
import { until } from "../../harness/until.ts";
import { grind } from "../grind.ts";

const complaints: ReadonlySet<ClientEvent["type"]> = new Set(["protocol-fault", "share-rejected", "open-refused"]);

/** A Stratum V2 miner in this process that hashes when it is told to, until it has a block. */
export class ChannelMiner {
  /** Rules the server broke, and shares and channels it refused. */
  readonly complaints: ClientEvent[] = [];
  readonly #client = new MiningClient();
  readonly #send: (message: MiningMessage) => void;
  readonly #opened = new Map<number, ClientChannel>();
  #requests = 0;

  /** `send` takes its messages to a server. */
  constructor(send: (message: MiningMessage) => void) {
    this.#send = send;
  }

  /** Takes one message of the server. */
  receive(message: MiningMessage): void {
    for (const event of this.#client.handle(message, Date.now())) {
      if (event.type === "opened") this.#opened.set(event.requestId, event.channel);
      if (complaints.has(event.type)) this.complaints.push(event);
    }
  }

  /** Opens a channel and waits for it. */
  async open(kind: ClientChannel["kind"], userIdentity: string): Promise<ClientChannel> {
    this.#requests += 1;
    const requestId = this.#requests;
    const maxTarget = u256(new Uint8Array(32).fill(0xff));
    const request = { requestId, userIdentity, nominalHashRate: HASHRATE, maxTarget };
    this.#send(
      kind === "standard"
        ? this.#client.openStandard(request)
        : this.#client.openExtended({ ...request, minExtranonceSize: 4 }),
    );
    return await until(`a channel for ${userIdentity}`, () => this.#opened.get(requestId));
  }

  /** Waits for the channel's job on a block, by its hash in displayed order. */
  async job(channel: ClientChannel, parent: string): Promise<ClientJob> {
    const prevHash = hashFromDisplay(parent);
    return await until(`a job on ${parent}`, () => {
      const { activeJob } = channel;
      return activeJob !== undefined && Buffer.compare(activeJob.prevHash, prevHash) === 0 && activeJob;
    });
  }

  /** Finds a block on another one and submits it, as soon as there is a job for that. Hashes are in displayed order. */
  async mine(channel: ClientChannel, parent: string): Promise<string> {
    const { share, hash } = blockOf(channel, await this.job(channel, parent));
    this.#send(share);
    return hash;
  }
}

/** A share of a job that is a block too. */
function blockOf(
  channel: ClientChannel,
  job: ClientJob,
): { readonly share: SubmitSharesStandard | SubmitSharesExtended; readonly hash: string } {
  const { jobId, version, prevHash, nbits, minNtime: ntime } = job;
  const extranonce = new Uint8Array(channel.extranonceSize).fill(0x5a);
  const merkleRoot = job.merkleRoot ?? merkleRootOf(job, extranonce);
  const header = encodeHeader({ version, prevHash, merkleRoot, ntime, nbits, nonce: 0 });
  const blockTarget = targetFromBits(nbits);
  const nonce = grind(header, job.target < blockTarget ? job.target : blockTarget);
  const found = { jobId, nonce, ntime, version };
  const share =
    channel.kind === "standard" ? channel.submitStandard(found) : channel.submitExtended({ ...found, extranonce });
  return { share, hash: displayHash(sha256d(header)) };
}

function merkleRootOf(job: ClientJob, extranonce: Uint8Array): Uint8Array {
  const { coinbaseTxPrefix: prefix, coinbaseTxSuffix: suffix, merklePath } = job;
  if (prefix === undefined || suffix === undefined || merklePath === undefined) throw new Error("no extended job");
  return pureHashing.merkleRoot(Buffer.concat([prefix, job.extranoncePrefix, extranonce, suffix]), merklePath);
}
