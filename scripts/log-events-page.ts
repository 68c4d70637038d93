import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type LogEvent, networkEvents } from "../packages/role-network/src/events.ts";

/** An event that the network does not tell of itself: of a role's core, of its peers, of its operator. */
interface OtherEvent extends Omit<LogEvent, "level"> {
  readonly text: string;
  /** One, or those that it is written at by how bad it is. */
  readonly level: string;
}

const choices: readonly OtherEvent[] = [
  {
    text: "upstream changed",
    level: "info, warn",
    fields: ["from", "to", "reason"],
    meaning:
      "Another upstream, or another transport to the same one, is used from now on. `reason` is why: `start`, `upstream-ready`, `better-upstream-ready`, `solo-mode`, `no-upstream-ready`, or the code of the failure that it came of. A jd-client adds `pool` and `jds`, the transport of each; a template provider's client `upstream`; a mining device `connection`; both `detail`, what the connection before has ended with.",
  },
  {
    text: "upstream failed",
    level: "warn, debug",
    fields: ["upstream", "code", "detail"],
    meaning: "A session is over, and what failed in it. `debug` when it was not in use. A translator adds `transport`.",
  },
  {
    text: "upstream lost; miners stay connected",
    level: "warn, debug",
    fields: ["reason", "unansweredShares"],
    meaning: "A translator has no upstream now. `debug` when no miner is there.",
  },
  {
    text: "upstream asks to reconnect",
    level: "info",
    fields: ["upstream", "transport", "newHost", "newPort"],
    meaning: "The pool has sent Reconnect, and is followed.",
  },
  {
    text: "reconnect not followed",
    level: "debug",
    fields: ["upstream", "transport", "newHost", "newPort", "refusal"],
    meaning: "The same, and is not followed: `not-in-use`, `under-way`, `too-often`.",
  },
  {
    text: "reconnect failed",
    level: "warn",
    fields: ["newHost", "newPort", "reason"],
    meaning: "It could not be reached where it asked to be; it is used as long as it serves.",
  },
  {
    text: "reconnected",
    level: "info",
    fields: ["upstream", "transport"],
    meaning: "Miners mine where it asked them to.",
  },
  { text: "template provider connected", level: "info", fields: ["peer"], meaning: "A template provider serves." },
  {
    text: "template provider away",
    level: "warn",
    fields: ["reason", "retryInMs"],
    meaning: "No way to the template provider works.",
  },
];

const peers: readonly OtherEvent[] = [
  { text: "peer connected", level: "debug", fields: ["event", "peer"], meaning: "A peer was dialled." },
  {
    text: "peer dial failed",
    level: "debug",
    fields: ["event", "peer", "failures", "error"],
    meaning: "It was not; `failures` in a row so far.",
  },
  {
    text: "peer closed",
    level: "debug",
    fields: ["event", "peer", "reason"],
    meaning: "Its connection is over: `idle`, `evicted`, `unhealthy`, `failed`, `ended`, `stopped`.",
  },
  {
    text: "breaker opened",
    level: "warn",
    fields: ["event", "peer", "failures", "openMs"],
    meaning: "The peer has failed too often and is left alone for that long.",
  },
  { text: "breaker half opened", level: "info", fields: ["event", "peer"], meaning: "One trial is made." },
  { text: "breaker closed", level: "info", fields: ["event", "peer"], meaning: "The peer works again." },
];

const operators: readonly OtherEvent[] = [
  {
    text: "rpc served over iroh",
    level: "info",
    fields: ["endpointId", "ticket", "services", "peers"],
    meaning: "The operator can call, at this ticket.",
  },
  { text: "rpc not served over iroh", level: "error", fields: ["error"], meaning: "He cannot; it is tried again." },
  { text: "rpc peer connected", level: "info", fields: ["peer", "path"], meaning: "A caller is there." },
  { text: "rpc peer refused", level: "warn", fields: ["peer", "path", "reason"], meaning: "One was not let in." },
  { text: "rpc peer gone", level: "info", fields: ["peer", "path", "error"], meaning: "One has left." },
  {
    text: "rpc call",
    level: "info, debug",
    fields: ["service", "method", "transport", "peer", "result", "tookMs"],
    meaning: "A call is over. `info` for `control`.",
  },
  { text: "draining", level: "info", fields: ["reason"], meaning: "The role stops: `reason` says who wants it." },
  {
    text: "config reloaded",
    level: "info",
    fields: ["result", "applied"],
    meaning: "What came of SIGHUP or a reload.",
  },
  { text: "stopped", level: "info", fields: [], meaning: "The role has ended well." },
  { text: "stopped by a fault", level: "error", fields: ["error"], meaning: "The role has not." },
];

/** The page of log lines that may be counted on. Throws when one of them is not in the code. */
export function logEventsPage(): string {
  checkTexts([...choices, ...peers, ...operators]);
  const own = Object.entries(networkEvents).map(([text, event]) => ({ text, ...event }));
  return `${[
    "<!-- Generated by scripts/generate-docs.ts from packages/role-network/src/events.ts and scripts/log-events-page.ts. Do not edit. -->",
    "",
    "# Log events",
    "",
    "Lines of the log that tell how a role is connected. The name of an event is its text, `msg`, which is constant and stays the same",
    "between releases; what differs is in the fields. On a terminal lines are for people; in a file or a pipe each is one JSON object:",
    "",
    "```",
    '{"level":30,"time":"2026-11-28T15:01:41.180Z","pid":9842,"name":"translator","from":"192.0.2.10:34254 over iroh","to":"192.0.2.10:34254 over tcp","reason":"connection-lost","msg":"upstream changed"}',
    "```",
    "",
    "Levels are 20 `debug`, 30 `info`, 40 `warn`, 50 `error`. `error` fields hold `code` ([Error codes](network-errors.md)), `message` and `cause`.",
    ...section("Attempts, paths and listeners", "Every role that has a network writes these.", own),
    ...section("Choices and fallbacks", "Roles with upstreams; `fallback` in their configs has the times.", choices),
    ...section("Peers and their circuit breakers", "`event` is the same in kebab-case.", peers),
    ...section("The operator, and the end", "", operators),
  ].join("\n")}\n`;
}

function section(title: string, about: string, events: readonly OtherEvent[]): readonly string[] {
  const rows = events.map(({ text, level, fields, meaning }) => {
    return `| \`${text}\` | ${level} | ${fields.map((field) => `\`${field}\``).join(", ")} | ${meaning} |`;
  });
  const intro = about === "" ? [] : [about, ""];
  return ["", `## ${title}`, "", ...intro, "| text | level | fields | when |", "|---|---|---|---|", ...rows];
}

/** Cores have their texts in kebab-case. */
function checkTexts(events: readonly OtherEvent[]): void {
  const sources = ["packages", "roles"].flatMap(sourcesIn).join("\n");
  for (const { text } of events) {
    const isThere = [text, text.replaceAll(" ", "-")].some((one) => sources.includes(`"${one}"`));
    if (!isThere) throw new Error(`scripts/log-events-page.ts has the event "${text}", and no code writes it`);
  }
}

function sourcesIn(folder: string): readonly string[] {
  const root = fileURLToPath(new URL(`../${folder}`, import.meta.url));
  return readdirSync(root).flatMap((name) => {
    const src = join(root, name, "src");
    const files = readdirSync(src, { recursive: true, encoding: "utf8" });
    const code = files.filter((file) => file.endsWith(".ts") && !file.endsWith(".test.ts"));
    return code.map((file) => readFileSync(join(src, file), "utf8"));
  });
}
