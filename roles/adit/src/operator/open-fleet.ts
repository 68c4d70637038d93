import type { PeerEvent } from "@adit/network-helpers/peers";
import { Fleet } from "./fleet.ts";
import { Operator } from "./operator.ts";
import { openLink } from "./role-link.ts";
import type { Selection } from "./selection.ts";

/** A command's fleet, and who calls it. Disposing it closes both. */
export interface CommandFleet extends AsyncDisposable {
  readonly fleet: Fleet;
  readonly operator: Operator;
}

/** After its deadline a call is given this long to be called off, in milliseconds. */
const CANCEL_MS = 5_000;

/** Makes the fleet of a command. Nothing is dialled before the first call. */
export function openFleet(
  { targets, peers, operator: options }: Selection,
  onEvent?: (event: PeerEvent) => void,
): CommandFleet {
  const { timeoutMs } = options;
  const operator = new Operator(options);
  const dialIroh = operator.dial.bind(operator);
  const fleet = new Fleet({
    targets,
    open: (target, { signal }) => openLink(target, { dialIroh, signal }),
    peers: { ...peers, dialTimeoutMs: timeoutMs, deliverTimeoutMs: timeoutMs + CANCEL_MS },
    deadlineMs: timeoutMs,
    ...(onEvent === undefined ? {} : { onEvent }),
  });
  return {
    fleet,
    operator,
    [Symbol.asyncDispose]: async () => {
      await fleet[Symbol.asyncDispose]();
      await operator[Symbol.asyncDispose]();
    },
  };
}
