/** One opcode of a script with the bytes it pushes, if it pushes any. */
export interface ScriptOp {
  /** The opcode byte. */
  readonly opcode: number;
  /** What it pushes: a view; empty for an opcode that pushes no bytes from the script. */
  readonly data: Uint8Array;
}

const OP_PUSHDATA1 = 0x4c;
const OP_PUSHDATA4 = 0x4e;
const OP_CHECKSIG = 0xac;
const OP_CHECKSIGVERIFY = 0xad;
const OP_CHECKMULTISIG = 0xae;
const OP_CHECKMULTISIGVERIFY = 0xaf;

/** The longest push that its opcode alone can announce; longer ones need OP_PUSHDATA. */
export const MAX_DIRECT_PUSH = 75;

/** Opcodes in order, up to the end or to a push that runs past it, where Bitcoin Core stops reading too. */
export function* scriptOps(script: Uint8Array): Generator<ScriptOp> {
  let at = 0;
  while (at < script.length) {
    const opcode = script[at] ?? 0;
    const { start, length } = pushAt(script, at);
    if (start + length > script.length) return;
    yield { opcode, data: script.subarray(start, start + length) };
    at = start + length;
  }
}

/** Signature operations of one script, every multisig counted as 20: Bitcoin Core's `GetSigOpCount(false)`. */
export function countSigops(script: Uint8Array): number {
  let count = 0;
  for (const { opcode } of scriptOps(script)) {
    if (opcode === OP_CHECKSIG || opcode === OP_CHECKSIGVERIFY) count += 1;
    if (opcode === OP_CHECKMULTISIG || opcode === OP_CHECKMULTISIGVERIFY) count += 20;
  }
  return count;
}

function pushAt(script: Uint8Array, at: number): { readonly start: number; readonly length: number } {
  const opcode = script[at] ?? 0;
  if (opcode <= MAX_DIRECT_PUSH) return { start: at + 1, length: opcode };
  if (opcode > OP_PUSHDATA4) return { start: at + 1, length: 0 };
  const lengthSize = 2 ** (opcode - OP_PUSHDATA1);
  let length = 0;
  for (let digit = lengthSize; digit >= 1; digit--) length = length * 256 + (script[at + digit] ?? 0);
  return { start: at + 1 + lengthSize, length };
}
