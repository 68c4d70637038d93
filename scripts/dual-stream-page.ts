import { messageSets } from "../packages/codec/src/index.ts";
import {
  classStream,
  messageClasses,
  type OrderClass,
  orderedProtocols,
  orderRules,
} from "../packages/network-helpers/src/dual/message-order.ts";

/** The page that shows which stream of a dual connection each message takes, and what it does not overtake there. */
export function dualStreamPage(): string {
  const classes = Object.keys(classStream) as OrderClass[];
  const classRows = classes.map((name) => {
    const rules = orderRules[name].map((earlier) => `\`${earlier}\``).join(", ");
    return `| \`${name}\` | ${classStream[name]} | ${rules === "" ? "nothing" : rules} |`;
  });
  const messageRows = orderedProtocols.flatMap((protocol) =>
    Object.values(messageSets[protocol].rows).map(({ name, specName }) => {
      const itsClass = messageClasses[protocol][name] ?? "barrier";
      return `| ${protocol} | ${specName} | ${classStream[itsClass]} | \`${itsClass}\` |`;
    }),
  );
  return `${[
    "# Order on two streams",
    "",
    "Generated from `packages/network-helpers/src/dual/message-order.ts`. What it means and why is in",
    "[Two streams](../dual-stream.md).",
    "",
    "| class | stream | does not overtake, of the other stream |",
    "|---|---|---|",
    ...classRows,
    "",
    "| protocol | message | stream | class |",
    "|---|---|---|---|",
    ...messageRows,
    "| any | a message nobody knows | control | `barrier` |",
  ].join("\n")}\n`;
}
