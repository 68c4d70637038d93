import type { MessageOutcome, PeerEvent } from "@adit/network-helpers/peers";
import { peerText, reasonText } from "@adit/role-kit";
import type { Action } from "./control-command.ts";
import { openFleet } from "./open-fleet.ts";
import { isBroken } from "./role-link.ts";
import type { Selection } from "./selection.ts";

/** What to say of an order once it has its end. */
type Verdict = { readonly done: true; readonly text: string } | { readonly done: false; readonly text: string };

/**
 * Has every role do it, each as soon as it can be reached: an order waits for one that is away as long as `[peers]` says. One
 * line a role as it comes, and on standard error which are waited for. Resolves to the exit code.
 */
export async function orderAll(selection: Selection, action: Action): Promise<number> {
  const waitedFor = new Set<string>();
  await using command = openFleet(selection, (event) => tellAway(event, waitedFor));
  const { fleet, operator } = command;
  const verdicts = await Promise.all(
    fleet.names.map(async (name): Promise<Verdict> => {
      let verdict: Verdict = { done: false, text: "" };
      const outcome = await fleet.send(name, {
        deliver: async (caller, options) => {
          try {
            verdict = { done: true, text: await action.run(caller, options) };
          } catch (error) {
            if (isBroken(error) && action.repeatable) throw error;
            const advice = isBroken(error) ? "; it may have heard it, see adit status" : "";
            verdict = { done: false, text: `${await operator.explain(error)}${advice}` };
          }
        },
      });
      const told =
        outcome.kind === "delivered" ? verdict : await undelivered(outcome, (error) => operator.explain(error));
      process.stdout.write(`${name}  ${told.text}\n`);
      return told;
    }),
  );
  return verdicts.every(({ done }) => done) ? 0 : 1;
}

function tellAway(event: PeerEvent, waitedFor: Set<string>): void {
  if (event.type !== "peer-dial-failed" || waitedFor.has(event.peer)) return;
  waitedFor.add(event.peer);
  process.stderr.write(`${peerText(event.peer)}  waits until it can be reached: ${reasonText(event.error)}\n`);
}

async function undelivered(
  outcome: Exclude<MessageOutcome, { readonly kind: "delivered" }>,
  explain: (error: unknown) => Promise<string>,
): Promise<Verdict> {
  switch (outcome.kind) {
    case "expired":
      return { done: false, text: "not told: it could not be reached in time, see message_ttl_secs" };
    case "refused":
      return { done: false, text: `not told: ${outcome.reason}` };
    case "dropped":
      return { done: false, text: `not told in ${outcome.attempts} attempts: ${await explain(outcome.error)}` };
    default:
      return outcome satisfies never;
  }
}
