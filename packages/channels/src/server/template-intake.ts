import { hash, type Target, target, targetFromBits, targetFromBytes, targetToBytes } from "@adit/bitcoin";
import type { NewTemplate, TemplateSetNewPrevHash } from "@adit/codec";
import type { HeldTip, UntoldJob } from "./held-work.ts";
import { type ChainTip, isSameTip } from "./job-store.ts";
import { log, type ServerState } from "./server-state.ts";
import { jobFromTemplate } from "./template-job.ts";
import { announceTip, setTip, tellCurrent, tellFuture } from "./work-distribution.ts";

/** Least time between two lines that say that work comes too fast. */
const HELD_SAID_MS = 60_000;

/** Turns a template into a job for every channel: a future one, or one to mine at once on the current tip. */
export function onTemplate(state: ServerState, template: NewTemplate): void {
  const made = jobFromTemplate(template, state);
  if (made.kind === "refused") {
    log(state, { level: "warn", event: "template-refused" }, { templateId: template.templateId, reason: made.reason });
    return;
  }
  const { job } = made;
  const { held } = state;
  if (held.tip !== undefined && held.tip.job === undefined && held.tip.templateId === template.templateId) {
    held.tip.job = job;
    return;
  }
  const isAwaited = held.tip === undefined && state.unannouncedTemplate === template.templateId;
  if (template.futureTemplate && !isAwaited) return onFuture(state, job);
  if (held.tip === undefined && state.tip === undefined) {
    log(state, { level: "warn", event: "template-before-prev-hash" }, { templateId: template.templateId });
    return;
  }
  onCurrent(state, job);
}

function onFuture(state: ServerState, job: UntoldJob): void {
  if (state.held.mayTellJob(state.now)) {
    state.held.forgetFuture(job.origin.templateId);
    tellFuture(state, job);
    return;
  }
  state.held.holdFuture(job);
  countHeld(state);
}

function onCurrent(state: ServerState, job: UntoldJob): void {
  const { held, tip } = state;
  if (held.tip === undefined && tip !== undefined && state.unannouncedTemplate !== undefined) {
    announceTip(state, job, tip);
    return;
  }
  // On a tip that is held, no job can be told before it.
  if (held.tip === undefined && held.mayTellJob(state.now)) {
    held.job = undefined;
    tellCurrent(state, job);
    return;
  }
  held.job = job;
  countHeld(state);
}

/** Makes the future job of the named template the active one and tells every channel. */
export function onPrevHash(state: ServerState, message: TemplateSetNewPrevHash): void {
  const { templateId, nBits } = message;
  const tip = tipOf(message, state.now);
  if (tip === undefined) {
    log(state, { level: "warn", event: "prev-hash-refused" }, { templateId, nBits });
    return;
  }
  const job = state.held.futureOf(templateId) ?? state.jobs.futureOf(templateId);
  const known = state.tip !== undefined && isSameTip(state.tip, tip);
  if (job === undefined)
    log(state, { level: known ? "debug" : "warn", event: "prev-hash-without-job" }, { templateId });
  // Whatever waits was for another tip, or is not the job that this one names.
  state.held.clear();
  if (job === undefined && known) return;
  if (state.held.mayTellTip(state.now)) {
    takeTip(state, { tip, templateId, job });
    state.jobs.dropFutures();
    return;
  }
  state.jobs.dropFutures();
  state.held.tip = { tip, templateId, job };
  countHeld(state);
}

/** Tells what was held back, as far as the pace allows by now. */
export function tellHeld(state: ServerState): void {
  const { held, now } = state;
  const { tip } = held;
  if (tip !== undefined) {
    if (!held.mayTellTip(now)) return;
    held.tip = undefined;
    takeTip(state, tip);
  }
  const { job } = held;
  if (job !== undefined && state.tip !== undefined && held.mayTellJob(now)) {
    held.job = undefined;
    if (state.unannouncedTemplate === undefined) tellCurrent(state, job);
    else announceTip(state, job, state.tip);
  }
  const future = held.newestFuture;
  if (future === undefined || !held.mayTellJob(now)) return;
  held.forgetFuture(future.origin.templateId);
  tellFuture(state, future);
}

/** Goes on to a tip: tells it with its job, or waits for that with nothing to mine. */
function takeTip(state: ServerState, { tip, templateId, job }: HeldTip): void {
  if (job !== undefined) return announceTip(state, job, tip);
  setTip(state, tip);
  state.jobs.retireAll();
  state.unannouncedTemplate = templateId;
}

/** Once a minute at most: whoever sends too much must not fill the log as well. */
function countHeld(state: ServerState): void {
  state.totals.held += 1;
  if (state.now - state.heldSaidAt < HELD_SAID_MS) return;
  state.heldSaidAt = state.now;
  const { jobsPerSecond } = state.options.limits;
  log(state, { level: "warn", event: "work-comes-too-fast" }, { jobsPerSecond, heldSinceStart: state.totals.held });
}

/** The tip named by a template provider, or undefined when it names no target a block could meet. */
function tipOf(message: TemplateSetNewPrevHash, now: number): ChainTip | undefined {
  const networkTarget = networkTargetOf(message);
  if (networkTarget === undefined) return undefined;
  return {
    prevHash: hash(message.prevHash.slice()),
    ntime: message.headerTimestamp,
    nbits: message.nBits,
    networkTarget: targetToBytes(networkTarget),
    since: now,
  };
}

/** A block must meet both the provider's target and the one consensus reads from nbits. */
function networkTargetOf(message: TemplateSetNewPrevHash): Target | undefined {
  try {
    const announced = targetFromBytes(message.target);
    const consensus = targetFromBits(message.nBits);
    return target(announced < consensus ? announced : consensus);
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}
