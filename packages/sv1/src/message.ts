import { scanLine } from "./line-scan.ts";
import type { Sv1ErrorCode } from "./sv1-error.ts";

/**
 * The JSON text of an `id` exactly as it came: `null`, `"auth"`, `18446744073709551615`, `1.0`. It is written back
 * unchanged; miners send more kinds of id than a number can hold.
 */
export type RawId = string;

/** A request or a notification. */
export interface Sv1Request {
  readonly kind: "request";
  /** The id as it came; `null` when there was none. */
  readonly id: RawId;
  readonly method: string;
  /** Empty when the member was missing or null. */
  readonly params: readonly unknown[];
}

/** A reply: a line without a method. */
export interface Sv1Response {
  readonly kind: "response";
  readonly id: RawId;
  /** `undefined` when the member was missing. */
  readonly result: unknown;
  /** An array, a string or an object, as the sender likes; `null` when there was none. */
  readonly error: unknown;
}

/** A line that is no message. */
export interface Sv1Fault {
  readonly kind: "fault";
  /** The id to answer with; `null` when the line does not even say that. */
  readonly id: RawId;
  readonly code: Sv1ErrorCode;
}

/** What a line turned out to be. Other members ("jsonrpc", "worker") are ignored. */
export type Sv1Message = Sv1Request | Sv1Response | Sv1Fault;

/** Caps that hold before anything of a line is believed. */
export interface MessageLimits {
  /** Longest line, in UTF-16 units; the `LineSplitter` has already capped its bytes. */
  readonly maxLine: number;
  /** Deepest nesting of arrays and objects. */
  readonly maxDepth: number;
  /** Most entries in `params`. */
  readonly maxParams: number;
  /** Longest string, in bytes as written. */
  readonly maxString: number;
  /** Longest id, in characters of its JSON text. */
  readonly maxId: number;
}

/** What a miner may send. The longest thing a real one does is a 300-byte submit. */
export const minerMessageLimits: MessageLimits = {
  maxLine: 4096,
  maxDepth: 6,
  maxParams: 16,
  maxString: 512,
  maxId: 64,
};

/** What a pool may send: a notify with 32 merkle branches and a coinbase of some kilobytes. */
export const poolMessageLimits: MessageLimits = {
  maxLine: 65_536,
  maxDepth: 6,
  maxParams: 16,
  maxString: 32_768,
  maxId: 64,
};

/** Reads one line. Never throws: a line that is no message is a `fault` value, since miners do send such lines. */
export function parseMessage(line: string, limits: MessageLimits): Sv1Message {
  if (line.length > limits.maxLine) return fault("line-too-long");
  const scan = scanLine(line);
  if (scan.depth > limits.maxDepth) return fault("too-deep");
  if (scan.longestString > limits.maxString) return fault("string-too-long");
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return fault("not-json");
  }
  if (!isObject(value)) return fault("not-an-object");
  const id = scan.rawId ?? "null";
  const parsedId = own(value, "id") ?? null;
  if (id.length > limits.maxId || (typeof parsedId === "object" && parsedId !== null)) return fault("bad-id");
  return messageOf(value, id, limits);
}

function messageOf(value: object, id: RawId, limits: MessageLimits): Sv1Message {
  // A reply may carry an empty method: some pools print all members of one structure.
  const method = own(value, "method") ?? "";
  if (method === "") return { kind: "response", id, result: own(value, "result"), error: own(value, "error") ?? null };
  if (typeof method !== "string") return fault("bad-method", id);
  const params = own(value, "params") ?? [];
  if (!Array.isArray(params) || params.length > limits.maxParams) return fault("bad-params", id);
  return { kind: "request", id, method, params };
}

/** The member of that name if the object itself has it: what a prototype offers is not part of the message. */
export function own(object: object, name: string): unknown {
  return Object.hasOwn(object, name) ? (object as Record<string, unknown>)[name] : undefined;
}

/** An object that is no array. */
export function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A reply that says yes. `result` is JSON text. `error` is always there: its absence has crashed firmware. */
export function resultLine(id: RawId, result: string): string {
  return `{"id":${id},"result":${result},"error":null}`;
}

/** A reply that says no: `result` is false and `error` is the triple that every miner reads. */
export function errorLine(id: RawId, code: number, message: string): string {
  return `{"id":${id},"result":false,"error":[${code},${JSON.stringify(message)},null]}`;
}

/** A notification: a method with a null id that wants no reply. `params` is JSON text. */
export function notificationLine(method: string, params: string): string {
  return `{"id":null,"method":"${method}","params":${params}}`;
}

function fault(code: Sv1ErrorCode, id: RawId = "null"): Sv1Fault {
  return { kind: "fault", id, code };
}
