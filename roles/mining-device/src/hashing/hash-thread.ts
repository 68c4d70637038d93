import { receiveMessageOnPort, workerData } from "node:worker_threads";
import type { Slice } from "../work/work-scheduler.ts";
import { NonceSearch } from "./nonce-search.ts";
import { Pacer } from "./pacer.ts";
import type { FromThread, ThreadStart, ToThread } from "./thread-messages.ts";

/** Nonces between two looks at the messages: about two milliseconds, which is how soon stale work stops. */
const BATCH = 4_096;
/** A slice with more shares ends early: at an absurdly easy target the main thread would drown in them. */
const MOST_SHARES = 64;

interface Running {
  readonly slice: Slice;
  readonly search: NonceSearch;
  readonly startedAt: number;
  next: number;
  shares: number;
}

const { port, bell, hashrateLimit } = workerData as ThreadStart;
const pacer = new Pacer(hashrateLimit);
const waiting: Slice[] = [];
let running: Running | undefined;

tell({ type: "ready" });
// The thread never returns to its event loop: it reads its port between two batches and sleeps on the bell. It ends
// when the main thread terminates it.
for (;;) work();

function work(): void {
  const rung = Atomics.load(bell, 0);
  for (let received = receive(); received !== undefined; received = receive()) obey(received);
  running ??= start(waiting.shift());
  if (running === undefined) {
    Atomics.wait(bell, 0, rung);
    return;
  }
  const pause = pacer.wait(performance.now());
  if (pause > 0) Atomics.wait(bell, 0, rung, pause);
  else hash(running);
}

function receive(): ToThread | undefined {
  return receiveMessageOnPort(port)?.message as ToThread | undefined;
}

function obey(message: ToThread): void {
  if (message.type === "hash") {
    waiting.push(message.slice);
    return;
  }
  if (running?.slice.id === message.slice) {
    finish(running);
    return;
  }
  const at = waiting.findIndex((slice) => slice.id === message.slice);
  if (at === -1) return;
  waiting.splice(at, 1);
  tell({ type: "done", slice: message.slice, hashes: 0, ms: 0 });
}

function start(slice: Slice | undefined): Running | undefined {
  if (slice === undefined) return undefined;
  const search = new NonceSearch(slice.header, slice.target);
  return { slice, search, startedAt: performance.now(), next: slice.nonceStart, shares: 0 };
}

function hash(current: Running): void {
  const { slice, search } = current;
  const from = current.next;
  const end = slice.nonceStart + slice.nonceCount;
  const nonce = search.find(from, Math.min(from + pacer.batch(BATCH), end));
  current.next = nonce === -1 ? Math.min(from + pacer.batch(BATCH), end) : nonce + 1;
  pacer.spend(current.next - from, performance.now());
  if (nonce !== -1) {
    current.shares++;
    tell({ type: "found", slice: slice.id, nonce });
  }
  if (current.next >= end || current.shares >= MOST_SHARES) finish(current);
}

function finish({ slice, next, startedAt }: Running): void {
  running = undefined;
  tell({ type: "done", slice: slice.id, hashes: next - slice.nonceStart, ms: performance.now() - startedAt });
}

function tell(message: FromThread): void {
  port.postMessage(message);
}
