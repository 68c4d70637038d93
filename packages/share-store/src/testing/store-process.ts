/**
 * A process for faults that take a whole one. It appends random shares, and now and then a block, to the store at its
 * first argument until an append is refused, deletes the file that its second argument may name, appends some more and
 * closes. It prints a line for each thing the store has told it:
 *
 * - `open`, `closed`
 * - `share HASH`, `block HASH`: acknowledged
 * - `refused HASH CODE`: a share that was not
 * - `stats JSON`: after the first refusals, and again at the end
 */
import { rmSync, writeSync } from "node:fs";
import { type ShareRow, type ShareStore, ShareStoreError } from "../share-store.ts";
import { openSqliteStore } from "../sqlite-store.ts";
import { sampleBlock, sampleShare } from "./sample-rows.ts";

const AT_ONCE = 40;
const SHARES_A_BLOCK = 20;
const SHARES_AFTER = 20;

/** One line is one write, so that a kill tears none and loses none. */
function print(...words: readonly string[]): void {
  writeSync(1, `${words.join(" ")}\n`);
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}

/** @returns whether it is recorded. */
async function append(store: ShareStore, share: ShareRow): Promise<boolean> {
  try {
    await store.append(share);
    print("share", hex(share.hash));
    return true;
  } catch (error) {
    print("refused", hex(share.hash), error instanceof ShareStoreError ? error.code : String(error));
    return false;
  }
}

async function appendUntilRefused(store: ShareStore): Promise<void> {
  for (let count = 1; await append(store, sampleShare()); count++) {
    if (count % SHARES_A_BLOCK !== 0) continue;
    const block = sampleBlock();
    const isRecorded = await store.recordBlock(block).then(
      () => true,
      () => false,
    );
    if (isRecorded) print("block", hex(block.hash));
  }
}

const [path = "", ballast] = process.argv.slice(2);
const store = await openSqliteStore({ path, groupCommitMs: 1, groupCommitRows: 20 });
print("open");
await Promise.all(Array.from({ length: AT_ONCE }, () => appendUntilRefused(store)));
print("stats", JSON.stringify(store.stats()));
if (ballast !== undefined) rmSync(ballast);
for (let count = 0; count < SHARES_AFTER; count++) {
  store.countReject({ userIdentity: "user", worker: "w1", errorCode: "stale-share", at: 1 });
  await append(store, sampleShare());
}
print("stats", JSON.stringify(store.stats()));
await store[Symbol.asyncDispose]();
print("closed");
