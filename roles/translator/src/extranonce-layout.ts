/**
 * How the extranonce of an upstream channel is divided for Stratum V1 miners. The pool expects its prefix followed by
 * the rollable bytes. extranonce2 is the end of that, extranonce1 the (up to) 4 bytes before, and all before those goes
 * into `coinb1`. So a miner's extranonce1 is its index among the miners, and another prefix changes nothing for it.
 */
export interface ExtranonceLayout {
  /** The pool's prefix, and zeros for rollable bytes that nobody needs: the end of `coinb1`. */
  readonly filler: Uint8Array;
  /** Bytes of extranonce1, the miner's index in big-endian. */
  readonly indexSize: number;
  /** Set when there is no room for an index: extranonce1 as the prefix dictates it. One miner a channel only. */
  readonly fixedExtranonce1: Uint8Array | null;
  /** Bytes that the miner rolls. */
  readonly extranonce2Size: number;
}

/** What a channel gives, and what is wanted of it. */
export interface ExtranonceSpace {
  /** Fixed by the pool. */
  readonly prefix: Uint8Array;
  /** Rollable bytes after the prefix. */
  readonly rollable: number;
  /** Bytes of extranonce2 that the config asks for, 2 to 8. */
  readonly extranonce2Size: number;
  /** Whether several miners share the channel. */
  readonly shared: boolean;
}

/** Bytes of extranonce1 wherever there is room: what all firmware takes. */
const EXTRANONCE1_SIZE = 4;
/** Fewest bytes that tell miners apart; indexes stay below 2^16. */
const INDEX_SIZE = 2;
/** Fewest bytes of extranonce2 that firmware takes. */
const LEAST_EXTRANONCE2 = 2;

/** Divides a channel's extranonce; undefined when it is too small for mining, or for several miners. */
export function layOutExtranonce(space: ExtranonceSpace): ExtranonceLayout | undefined {
  const { prefix, rollable, shared } = space;
  const extranonce2Size = Math.min(space.extranonce2Size, shared ? rollable - INDEX_SIZE : rollable);
  if (extranonce2Size < LEAST_EXTRANONCE2) return undefined;
  const room = rollable - extranonce2Size;
  if (shared || room >= EXTRANONCE1_SIZE) {
    const indexSize = Math.min(EXTRANONCE1_SIZE, room);
    const filler = joined(prefix, new Uint8Array(room - indexSize));
    return { filler, indexSize, fixedExtranonce1: null, extranonce2Size };
  }
  const head = joined(prefix, new Uint8Array(room));
  const split = Math.max(head.length - EXTRANONCE1_SIZE, 0);
  return { filler: head.slice(0, split), indexSize: 0, fixedExtranonce1: head.slice(split), extranonce2Size };
}

/** The layout assumed while no channel is open: the one of every pool that grants 12 rollable bytes. */
export function assumedLayout(extranonce2Size: number): ExtranonceLayout {
  return { filler: new Uint8Array(), indexSize: EXTRANONCE1_SIZE, fixedExtranonce1: null, extranonce2Size };
}

/** A miner's extranonce1. Never all zero for an index of 1 to 65,535. */
export function extranonce1Of(layout: ExtranonceLayout, index: number): Uint8Array {
  if (layout.fixedExtranonce1 !== null) return layout.fixedExtranonce1;
  const extranonce1 = new Uint8Array(layout.indexSize);
  extranonce1[layout.indexSize - 2] = index >>> 8;
  extranonce1[layout.indexSize - 1] = index & 0xff;
  return extranonce1;
}

/** The rollable bytes to submit upstream for what a miner found. */
export function upstreamExtranonce(
  layout: ExtranonceLayout,
  prefixSize: number,
  found: { readonly extranonce1: Uint8Array; readonly extranonce2: Uint8Array },
): Uint8Array {
  return joined(layout.filler, joined(found.extranonce1, found.extranonce2)).slice(prefixSize);
}

/** Sizes to ask a pool for, the roomiest first; the next is tried when one is refused. */
export function extranonceSizesToAsk(extranonce2Size: number, shared: boolean): readonly number[] {
  const roomy = extranonce2Size + EXTRANONCE1_SIZE;
  return shared
    ? [roomy, extranonce2Size + INDEX_SIZE, LEAST_EXTRANONCE2 + INDEX_SIZE]
    : [roomy, extranonce2Size, LEAST_EXTRANONCE2];
}

/** Two byte strings as one. */
export function joined(head: Uint8Array, tail: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(head.length + tail.length);
  bytes.set(head);
  bytes.set(tail, head.length);
  return bytes;
}
