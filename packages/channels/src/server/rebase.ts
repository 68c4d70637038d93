import { scriptSigSizeOf, type Target } from "@adit/bitcoin";
import { retarget } from "./channel-control.ts";
import type { ExtranonceBase } from "./effects.ts";
import type { UntoldJob } from "./held-work.ts";
import { allChannels, log, type ServerState, send } from "./server-state.ts";
import { jobFromTemplate } from "./template-job.ts";
import { tellCurrent, tellFuture } from "./work-distribution.ts";

/** The longest prefix a template may ask for (spec 7.2), as no template may be known yet that asks for it. */
const LONGEST_TEMPLATE_PREFIX = new Uint8Array(8);

/**
 * Puts every channel on another extranonce prefix and every job on other outputs, as a server does that has changed its
 * own upstream: the channels keep their place in the search space, and the work of the present tip is told anew.
 *
 * @throws RangeError, BitcoinError `script-sig-too-long`: it does not fit, and nothing has changed.
 */
export function rebase(state: ServerState, base: ExtranonceBase): void {
  const { coinbaseTag: tag } = state.options;
  scriptSigSizeOf({ scriptSigPrefix: LONGEST_TEMPLATE_PREFIX, tag, extranonceSize: base.totalSize });
  state.allocator.rebase(base);
  for (const channel of allChannels(state)) {
    const lease = state.allocator.moved(channel.lease);
    const extranoncePrefix = channel.kind === "extended" ? lease.prefix : state.allocator.padded(lease);
    channel.moveTo(lease, extranoncePrefix, { fromJobId: state.nextJobId, shared: state.jobs });
    send(state, channel.connection, { name: "SetExtranoncePrefix", channelId: channel.id, extranoncePrefix });
  }
  retellWork(state);
}

/** No channel's target may be harder than this from now on, whatever its hashrate; undefined for no such bound. */
export function setHardestTarget(state: ServerState, hardest: Target | undefined): void {
  if (state.hardestTarget === hardest) return;
  state.hardestTarget = hardest;
  for (const channel of allChannels(state)) retarget(state, channel, channel.hashrate);
}

/** The pace at which work is told does not count here: what is out there is of no use any more. */
function retellWork(state: ServerState): void {
  const made = (job: UntoldJob): UntoldJob | undefined => remade(state, job);
  state.held.remake(made);
  const { active, futures } = state.jobs;
  state.jobs.dropFutures();
  for (const future of futures.flatMap((job) => made(job) ?? [])) tellFuture(state, future);
  if (active?.origin.kind !== "template") return;
  const again = made({ ...active, origin: active.origin });
  if (again !== undefined) tellCurrent(state, again);
}

function remade(state: ServerState, { origin }: UntoldJob): UntoldJob | undefined {
  const again = jobFromTemplate(origin.template, state);
  if (again.kind === "job") return again.job;
  const { reason } = again;
  log(state, { level: "warn", event: "template-refused" }, { templateId: origin.templateId, reason });
  return undefined;
}
