import {
  address,
  checkRpc,
  type IrohSettings,
  irohSettings,
  type ProcessSettings,
  processSettings,
} from "@adit/role-kit";
import { type PeerSettings, peerSettings } from "@adit/role-network";
import { z } from "zod";
import { parseTarget } from "../operator/target.ts";

/** Targets of one process at most: as many as the connector remembers. */
const MAX_TARGETS = 1000;

const targetSettings = z.strictObject({
  name: z
    .string()
    .regex(/^[a-z0-9][a-z0-9._-]{0,62}$/, "expected a name of small letters, digits, dots, dashes and underscores")
    .describe("what it is called in views, in the log, and in the label `target`"),
  target: z
    .string()
    .superRefine((text, context) => {
      try {
        parseTarget(text);
      } catch (error) {
        context.addIssue({ code: "custom", message: error instanceof Error ? error.message : String(error) });
      }
    })
    .describe(
      "where it is called: an endpoint id or a ticket, either with `?relay=URL&addr=HOST:PORT&...` behind it, or the http:// address of its monitoring",
    ),
});

/** Config of the watch, which `adit top`, `adit status` and `adit control` take their targets from, too. */
const watchConfig: z.ZodType<WatchConfig> = z
  .strictObject({
    ...processSettings,
    monitoringAddress: address
      .default("127.0.0.1:9099")
      .describe("host:port of the page with the metrics of every target; port 0 takes a free one"),
    intervalSecs: z
      .number()
      .min(0.5)
      .max(3600)
      .default(15)
      .describe("time from one look at a target to the next, in seconds; not more than Prometheus has"),
    answerTimeoutSecs: z
      .number()
      .positive()
      .max(600)
      .default(10)
      .describe("longest wait for a target's answer, and for a connection to it, in seconds"),
    targets: z.array(targetSettings).min(1).max(MAX_TARGETS).describe("the roles to look at"),
    peers: peerSettings.prefault({}).describe("the connections to the targets"),
    iroh: irohSettings.prefault({}),
  })
  .superRefine((config, context) => {
    checkRpc(config, context);
    const names = config.targets.map(({ name }) => name);
    for (const [index, name] of names.entries()) {
      if (names.indexOf(name) === index) continue;
      const message = `expected another name: ${name} is taken`;
      context.addIssue({ code: "custom", path: ["targets", index, "name"], message, input: name });
    }
  });

/** What the watch's config parses to. */
export interface WatchConfig extends ProcessSettings {
  readonly monitoringAddress: string;
  readonly intervalSecs: number;
  readonly answerTimeoutSecs: number;
  readonly targets: readonly { readonly name: string; readonly target: string }[];
  readonly peers: PeerSettings;
  readonly iroh: IrohSettings;
}

/** Where a config file is read as one of the watch. */
export const watchSource = { name: "watch", config: watchConfig, envPrefix: "WATCH" } as const;
