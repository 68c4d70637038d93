import { BitcoinError, decodeTransaction, isCoinbase, MAX_SCRIPT_SIG } from "@adit/bitcoin";
import type { ClientChannel, ClientJob } from "@adit/channels";
import { joined } from "./extranonce-layout.ts";

/** Longest coinbase worth telling miners, in bytes: more than any firmware takes. */
const LONGEST_COINBASE = 16_384;
/** Most merkle branches firmware has room for. A block's transactions need 15. */
const MOST_BRANCHES = 32;

/** Finds what makes an upstream's job useless or dangerous for Stratum V1 miners. */
export class JobInspector {
  #last:
    | { readonly prefix: Uint8Array; readonly extranonceSize: number; readonly fault: string | undefined }
    | undefined;

  /**
   * What is wrong with an extended job; undefined when nothing is. A pool's bytes end up in `mining.notify`, which
   * firmware parses into buffers of its own; and work without a coinbase is for nothing.
   */
  faultOf(job: ClientJob, { extranonceSize: rollable }: Pick<ClientChannel, "extranonceSize">): string | undefined {
    const { coinbaseTxPrefix: prefix, extranoncePrefix, merklePath = [] } = job;
    if (prefix === undefined) return "it is no extended job";
    if (merklePath.length > MOST_BRANCHES) return `its merkle path has ${merklePath.length} hashes`;
    const extranonceSize = extranoncePrefix.length + rollable;
    // The members of a group share the bytes of its job, and there may be thousands of them.
    if (this.#last?.prefix !== prefix || this.#last.extranonceSize !== extranonceSize) {
      this.#last = { prefix, extranonceSize, fault: faultOfCoinbase(job, prefix, extranonceSize) };
    }
    return this.#last.fault;
  }
}

function faultOfCoinbase(
  { coinbaseTxSuffix: suffix = new Uint8Array() }: ClientJob,
  prefix: Uint8Array,
  extranonceSize: number,
): string | undefined {
  const size = prefix.length + extranonceSize + suffix.length;
  if (size > LONGEST_COINBASE) return `its coinbase has ${size} bytes`;
  try {
    const coinbase = decodeTransaction(joined(joined(prefix, new Uint8Array(extranonceSize)), suffix));
    if (!isCoinbase(coinbase)) return "its coinbase is another transaction";
    const scriptSize = coinbase.inputs[0]?.script.length ?? 0;
    return scriptSize > MAX_SCRIPT_SIG ? `its coinbase script has ${scriptSize} bytes` : undefined;
  } catch (error) {
    if (!(error instanceof BitcoinError)) throw error;
    return `its coinbase cannot be read: ${error.message}`;
  }
}
