import { type CounterMetric, peerText, type RoleContext } from "@adit/role-kit";
import type { ReconnectNews } from "./attempt.ts";

/**
 * Makes what tells the operator of peers that ask to be reached elsewhere: a log line and a count each. `result` is what
 * the translator's counter says: `followed`, `failed`, or why it was not followed.
 */
export function reconnectReport(
  log: RoleContext["log"],
  reconnects: CounterMetric<"result">,
): (news: ReconnectNews, where: Readonly<Record<string, unknown>>) => void {
  return (news, where) => {
    const fields = { ...where, newHost: peerText(news.to.newHost), newPort: news.to.newPort };
    switch (news.type) {
      case "followed":
        reconnects.inc({ result: "followed" });
        return log.info(fields, "upstream asks to reconnect");
      case "refused":
        reconnects.inc({ result: news.refusal });
        return log.debug({ ...fields, refusal: news.refusal }, "reconnect not followed");
      case "reconnected":
        return log.info(fields, "reconnected");
      case "failed":
        reconnects.inc({ result: "failed" });
        return log.warn({ ...fields, reason: peerText(news.reason, LONGEST_REASON) }, "reconnect failed");
      default:
        return news satisfies never;
    }
  };
}

/** A reason holds an address that may be an Iroh ticket's, and then what is wrong with it. */
const LONGEST_REASON = 512;
