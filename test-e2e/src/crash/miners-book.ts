import {
  decodeHeader,
  displayHash,
  meetsTarget,
  targetFromBits,
  targetFromBytes,
  targetToBytes,
  workOf,
} from "@adit/bitcoin";
import type { Acknowledgement, FoundShare } from "../soak/link.ts";
import type { ChannelAccount, MinedShare, MinersBooks } from "./books.ts";

/** Who mines, and for whom the pool credits it. */
export interface Owner {
  readonly identity: string;
  /** Behind a translator, whose jobs are easier than the pool's own. */
  readonly isRelayed: boolean;
}

/** Writes down what the miners send and what they are told. */
export class MinersBook implements MinersBooks {
  readonly shares = new Map<string, MinedShare>();
  readonly channels: ChannelAccount[] = [];
  readonly faults = new Map<string, number>();

  /** A new connection, which has one channel. */
  openChannel({ identity }: Owner): ChannelAccount {
    const channel = { owner: identity, work: 0n, sum: 0n };
    this.channels.push(channel);
    return channel;
  }

  /** A share leaves its miner. */
  submitted({ identity, isRelayed }: Owner, share: FoundShare): MinedShare {
    const known = this.shares.get(displayHash(share.hash));
    if (known !== undefined) return known;
    const { nbits } = decodeHeader(share.header);
    const mined: MinedShare = {
      hash: displayHash(share.hash),
      owner: identity,
      work: isRelayed ? undefined : workOf(targetFromBytes(share.target)),
      isBlock: meetsTarget(share.hash, targetToBytes(targetFromBits(nbits))),
      acknowledged: 0,
      refused: undefined,
    };
    this.shares.set(mined.hash, mined);
    return mined;
  }

  /** Shares were accepted. */
  acknowledged(channel: ChannelAccount, { shares, sum }: Acknowledgement): void {
    channel.sum += sum;
    for (const { hash } of shares) {
      const mined = this.shares.get(displayHash(hash));
      if (mined === undefined) continue;
      mined.acknowledged += 1;
      channel.work += mined.work ?? 0n;
    }
  }

  /** A share was refused. */
  refused(reason: string, share: FoundShare | undefined): void {
    const mined = share === undefined ? undefined : this.shares.get(displayHash(share.hash));
    if (mined === undefined) this.fault(`a share that was not open is refused as ${reason}`);
    else mined.refused = reason;
  }

  /** Something that must not happen. */
  fault(what: string): void {
    this.faults.set(what, (this.faults.get(what) ?? 0) + 1);
  }
}
