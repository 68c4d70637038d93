import { decodeAuthorityPublicKey } from "@adit/noise";
import { checkUpstream, type UpstreamSettings, upstreamSettings } from "@adit/role-kit";
import { transportsTo } from "@adit/role-network";
import { z } from "zod";
import type { UpstreamWay } from "./core/upstream-plan.ts";

const endpoint = z.strictObject(upstreamSettings);
const port = z.int().min(1).max(65_535);
const key = z.string().min(1);

const fields = z.strictObject({
  userIdentity: z
    .string()
    .min(1)
    .refine((text) => new TextEncoder().encode(text).length <= 255, "expected at most 255 bytes")
    .describe("account at this pool that the work is credited to"),
  authorityPubkey: z
    .exactOptional(key)
    .describe(
      "the authority key that the certificates of pool and job declarator must be signed with; without it neither is authenticated",
    ),
  jdsAuthorityPubkey: z
    .exactOptional(key)
    .describe("the same for the job declarator alone, where it is run by somebody else than the pool"),
  poolAddress: z.exactOptional(z.string().min(1)).describe("host of the pool, for TCP; or give [upstreams.pool]"),
  poolPort: z.exactOptional(port).describe("TCP port of the pool"),
  jdsAddress: z
    .exactOptional(z.string().min(1))
    .describe("host of the job declarator, for TCP; or give [upstreams.jds]"),
  jdsPort: z.exactOptional(port).describe("TCP port of the job declarator"),
  pool: z.exactOptional(endpoint).describe("how the pool is reached, over TCP, Iroh or either"),
  jds: z.exactOptional(endpoint).describe("how the job declarator is reached, over TCP, Iroh or either"),
  expectedRewardScript: z
    .exactOptional(z.string().min(1))
    .describe("descriptor of where this pool is known to be paid; an upstream that names another script is not used"),
  tlvByteOrder: z
    .enum(["little", "big"])
    .default("little")
    .describe(
      "byte order of the worker name's TLV header: `little` as the reference implementation reads it, `big` as the specification's example shows it",
    ),
});

type Fields = z.output<typeof fields>;

/** One entry of `[[upstreams]]`: a pool with its job declarator. */
export const upstreamEntry = fields.superRefine((entry, context) => {
  for (const side of ["pool", "jds"] as const) checkSide(entry, side, context);
});

/** What {@link upstreamEntry} parses to. */
export type UpstreamEntry = Fields;

/** How the pool, or the job declarator, of an entry is dialled. */
export function endpointOf(entry: Fields, side: "pool" | "jds"): UpstreamSettings {
  const table = entry[side] ?? flat(entry, side);
  const authorityPubkey = table.authorityPubkey ?? (side === "jds" ? entry.jdsAuthorityPubkey : undefined);
  const known = authorityPubkey ?? entry.authorityPubkey;
  return known === undefined ? table : { ...table, authorityPubkey: known };
}

/** How both parts of an entry are dialled. */
export function endpointsOf(entry: Fields): readonly UpstreamSettings[] {
  return [endpointOf(entry, "pool"), endpointOf(entry, "jds")];
}

/** Names an upstream in logs and the status. */
export function upstreamName(entry: Fields, at: number): string {
  const { address, port: poolPort, endpointId } = endpointOf(entry, "pool");
  if (address !== undefined) return `${address}:${poolPort}`;
  return endpointId ?? `upstream ${at + 1}`;
}

/**
 * The ways to an upstream, the preferred transports first. Where both sides are `dual`, those that differ come last: what
 * keeps one side from being reached over a transport mostly keeps the other, too.
 */
export function waysTo(entry: Fields): readonly UpstreamWay[] {
  const pools = transportsTo(endpointOf(entry, "pool"));
  const jds = transportsTo(endpointOf(entry, "jds"));
  const ways = pools.flatMap((pool) => jds.map((jd) => ({ pool, jds: jd })));
  if (pools.length < 2 || jds.length < 2) return ways;
  const isEven = ({ pool, jds: jd }: UpstreamWay): boolean => pools.indexOf(pool) === jds.indexOf(jd);
  return [...ways.filter(isEven), ...ways.filter((way) => !isEven(way))];
}

/** The keys of the reference implementation, which knows TCP alone. */
function flat(entry: Fields, side: "pool" | "jds"): UpstreamSettings {
  const address = side === "pool" ? entry.poolAddress : entry.jdsAddress;
  const tcpPort = side === "pool" ? entry.poolPort : entry.jdsPort;
  return {
    ...endpoint.parse({}),
    ...(address === undefined ? {} : { address }),
    ...(tcpPort === undefined ? {} : { port: tcpPort }),
  };
}

function checkSide(entry: Fields, side: "pool" | "jds", context: z.core.$RefinementCtx): void {
  const table = entry[side];
  const names = side === "pool" ? (["poolAddress", "poolPort"] as const) : (["jdsAddress", "jdsPort"] as const);
  const problem = (path: PropertyKey[], message: string): void => {
    context.addIssue({ code: "custom", path, message, input: entry });
  };
  const given = names.filter((name) => entry[name] !== undefined);
  const [first] = given;
  if (table !== undefined && first !== undefined) {
    problem([first], `expected either [upstreams.${side}] or ${side}_address and ${side}_port, not both`);
  }
  if (table === undefined) {
    for (const name of names) if (entry[name] === undefined) problem([name], `expected it, or [upstreams.${side}]`);
  } else {
    checkUpstream(table, { ...context, addIssue: (issue) => context.addIssue(within(side, issue)) });
  }
  checkKey(endpointOf(entry, side).authorityPubkey, (message) =>
    problem(table?.authorityPubkey === undefined ? ["authorityPubkey"] : [side, "authorityPubkey"], message),
  );
}

type Issue = Parameters<z.core.$RefinementCtx["addIssue"]>[0];

/** The problem of a table, as one of the entry that it is in. */
function within(side: string, issue: Issue): Issue {
  if (typeof issue === "string") return issue;
  return { ...issue, path: [side, ...(issue.path ?? [])] };
}

function checkKey(text: string | undefined, problem: (message: string) => void): void {
  if (text === undefined) return;
  try {
    decodeAuthorityPublicKey(text);
  } catch (error) {
    problem(`expected an authority public key: ${(error as Error).message}`);
  }
}
