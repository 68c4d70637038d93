import { fromHex, hash } from "@adit/bitcoin";
import { z } from "zod";
import { ROLLABLE_VERSION_BITS } from "./configure.ts";
import { readDifficulty } from "./difficulty.ts";
import { readUint32 } from "./hex-field.ts";
import { prevHashFromSv1, type Sv1Job } from "./job.ts";
import { isObject, own } from "./message.ts";

// Pools have crashed miners, and taken them over, with sizes and types that nobody checked (CVE-2014-4501 to 4503).
// So all that a pool says is checked here before anything is built from it. Parsing is rare: some lines a minute.

/** Largest half of a coinbase in hex digits; a whole one of 16 KiB is more than any firmware dares. */
const LONGEST_COINBASE_HEX = 32_768;
const MOST_BRANCHES = 32;

const bytesHex = (maxDigits: number) =>
  z
    .string()
    .max(maxDigits)
    .regex(/^(?:[0-9a-fA-F]{2})*$/);
const hash32Hex = z.string().regex(/^[0-9a-fA-F]{64}$/);
const uint32 = z
  .string()
  .regex(/^[0-9a-fA-F]{8}$/)
  .transform((text) => Number.parseInt(text, 16));

const extranonce2Size = z.int().min(2).max(16);
const extranonce1 = bytesHex(64).transform((text) => fromHex(text));

const subscribeResult = z
  .tuple([z.array(z.unknown()), extranonce1, extranonce2Size], z.unknown())
  .transform(([, extranonce1, extranonce2Size]) => ({ extranonce1, extranonce2Size }));

const setExtranonce = z
  .tuple([extranonce1, extranonce2Size], z.unknown())
  .transform(([extranonce1, extranonce2Size]) => ({ extranonce1, extranonce2Size }));

const notify = z
  .tuple(
    [
      z.string().min(1).max(64),
      hash32Hex,
      bytesHex(LONGEST_COINBASE_HEX),
      bytesHex(LONGEST_COINBASE_HEX),
      z.array(hash32Hex).max(MOST_BRANCHES),
      uint32,
      uint32,
      uint32,
      z.boolean(),
    ],
    z.unknown(),
  )
  .transform(
    ([id, prevHash, coinb1, coinb2, branches, version, nbits, ntime, clean]): Sv1Job => ({
      id,
      prevHash: prevHashFromSv1(prevHash),
      coinb1: fromHex(coinb1),
      coinb2: fromHex(coinb2),
      merklePath: branches.map((branch) => hash(fromHex(branch))),
      version,
      nbits,
      ntime,
      clean,
      upstream: undefined,
    }),
  );

/** The fixed part of the extranonce and how many bytes follow it. */
export interface Extranonce {
  readonly extranonce1: Uint8Array;
  readonly extranonce2Size: number;
}

/** Reads the result of `mining.subscribe`. */
export function readSubscribeResult(result: unknown): Extranonce | undefined {
  return subscribeResult.safeParse(result).data;
}

/** Reads the params of `mining.set_extranonce`. */
export function readSetExtranonce(params: readonly unknown[]): Extranonce | undefined {
  return setExtranonce.safeParse(params).data;
}

/** Reads the params of `mining.notify`. */
export function readNotify(params: readonly unknown[]): Sv1Job | undefined {
  return notify.safeParse(params).data;
}

/** Reads the params of `mining.set_difficulty`. */
export function readSetDifficulty(params: readonly unknown[]): number | undefined {
  return typeof params[0] === "number" ? readDifficulty(params[0]) : undefined;
}

/** Reads the params of `mining.set_version_mask`, cut to the bits this package ever rolls. */
export function readVersionMask(params: readonly unknown[]): number | undefined {
  const mask = readUint32(params[0]);
  return mask === undefined ? undefined : mask & ROLLABLE_VERSION_BITS;
}

/** The mask that a reply to `mining.configure` grants; 0 when it refuses, fails or makes no sense. */
export function readGrantedMask(result: unknown): number {
  if (!isObject(result) || own(result, "version-rolling") !== true) return 0;
  return readVersionMask([own(result, "version-rolling.mask")]) ?? 0;
}

/** Where `client.reconnect` points, as text to judge: nothing here follows it. */
export interface ReconnectHint {
  readonly host: string | null;
  readonly port: number | null;
  readonly waitSec: number;
}

/** Reads the params of `client.reconnect`; what is missing or senseless becomes null or 0. */
export function readReconnect(params: readonly unknown[]): ReconnectHint {
  const [host, port, wait] = params;
  const number = Number(typeof port === "string" && /^\d{1,5}$/.test(port) ? port : (port ?? Number.NaN));
  return {
    host: typeof host === "string" && /^[0-9A-Za-z.:[\]-]{1,253}$/.test(host) ? host : null,
    port: Number.isInteger(number) && number >= 1 && number <= 65_535 ? number : null,
    waitSec: typeof wait === "number" && wait > 0 ? Math.min(Math.floor(wait), 3600) : 0,
  };
}

/** Text from a pool for people: bounded, on one line, without control characters. */
export function readText(value: unknown): string {
  return typeof value === "string" ? value.slice(0, 256).replaceAll(/[\p{Cc}\p{Cs}\u2028\u2029]/gu, " ") : "";
}

/** Why a reply says no: its code and text, however the pool likes to spell them. `undefined` when it does not. */
export function readRejection(
  result: unknown,
  error: unknown,
): { readonly code: number; readonly reason: string } | undefined {
  if (result === true && error === null) return undefined;
  if (typeof error === "string") return { code: 20, reason: readText(error) };
  const [code, message] = Array.isArray(error)
    ? error
    : isObject(error)
      ? [own(error, "code"), own(error, "message")]
      : [20, "rejected"];
  return { code: typeof code === "number" && Number.isSafeInteger(code) ? code : 20, reason: readText(message) };
}
