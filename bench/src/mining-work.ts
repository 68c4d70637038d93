import { encodeHeader, meetsTarget, type ShareHashing } from "@adit/bitcoin";
import { type ClientChannel, type ClientJob, coinbaseOf } from "@adit/channels";
import type { SubmitSharesExtended, SubmitSharesStandard } from "@adit/codec";

/** Shares that one merkle root is mined for: what is measured is the server's work, not this. */
const SHARES_PER_ROOT = 64;

/** Finds shares for the active job of a channel; on an extended one, other shares for each `round`. */
export function mine(
  channel: ClientChannel,
  work: { readonly hashing: ShareHashing; readonly count: number; readonly round: number },
): readonly (SubmitSharesExtended | SubmitSharesStandard)[] {
  const job = channel.activeJob;
  if (job === undefined) throw new Error(`channel ${channel.channelId} has no job to mine`);
  const found: (SubmitSharesExtended | SubmitSharesStandard)[] = [];
  for (let counter = 0; found.length < work.count; counter++) {
    const extranonce = extranonceOf(channel, work.round, counter);
    const nonces = search(channel, { job, extranonce, from: counter * 0x10000 }, work.hashing);
    for (const nonce of nonces.slice(0, work.count - found.length)) {
      const share = { jobId: job.jobId, nonce, ntime: job.minNtime, version: job.version };
      found.push(
        channel.kind === "extended" ? channel.submitExtended({ ...share, extranonce }) : channel.submitStandard(share),
      );
    }
  }
  return found;
}

function extranonceOf(channel: ClientChannel, round: number, counter: number): Uint8Array {
  const extranonce = new Uint8Array(channel.extranonceSize);
  if (channel.kind === "standard") return extranonce;
  const view = new DataView(extranonce.buffer);
  view.setUint32(0, round);
  view.setUint32(4, counter);
  return extranonce;
}

interface Root {
  readonly job: ClientJob;
  readonly extranonce: Uint8Array;
  readonly from: number;
}

/** Nonces of shares below one merkle root. */
function search(channel: ClientChannel, root: Root, hashing: ShareHashing): readonly number[] {
  const { job } = root;
  const merkleRoot = channel.kind === "standard" ? job.merkleRoot : extendedRoot(root, hashing);
  if (merkleRoot === undefined) throw new Error(`job ${job.jobId} has no merkle root`);
  const { version, prevHash, minNtime: ntime, nbits } = job;
  const header = encodeHeader({ version, prevHash, merkleRoot, ntime, nbits, nonce: 0 });
  const view = new DataView(header.buffer, header.byteOffset);
  const nonces: number[] = [];
  for (let nonce = root.from; nonces.length < SHARES_PER_ROOT; nonce++) {
    view.setUint32(76, nonce, true);
    if (meetsTarget(hashing.headerHash(header), job.targetBytes)) nonces.push(nonce);
  }
  return nonces;
}

function extendedRoot({ job, extranonce }: Root, hashing: ShareHashing): Uint8Array {
  const { coinbaseTxPrefix, coinbaseTxSuffix, merklePath, extranoncePrefix } = job;
  if (coinbaseTxPrefix === undefined || coinbaseTxSuffix === undefined || merklePath === undefined) {
    throw new Error(`job ${job.jobId} has no coinbase`);
  }
  return hashing.merkleRoot(
    coinbaseOf({ coinbaseTxPrefix, coinbaseTxSuffix }, extranoncePrefix, extranonce),
    merklePath,
  );
}
