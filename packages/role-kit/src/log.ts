import { type DestinationStream, destination, type Logger, pino, stdTimeFunctions } from "pino";
import pretty from "pino-pretty";

/** Log levels, least severe first. */
export const logLevels = ["trace", "debug", "info", "warn", "error"] as const;
/** One of {@link logLevels}. */
export type LogLevel = (typeof logLevels)[number];

/** Text from the network longer than this many characters is cut in logs. */
const MAX_PEER_TEXT = 128;
/** Longest reason: after the name and address of a peer there must be room for what is wrong with it. */
const MAX_REASON = 512;

/** Where and how much to log. */
export interface LogOptions {
  readonly role: string;
  readonly level: LogLevel;
  /** A file to append to; standard output when undefined. */
  readonly file: string | undefined;
}

/** A role's logger: for people on a terminal, JSON lines otherwise. Secret fields are blanked whatever their depth. */
export function openLog({ role, level, file }: LogOptions): Logger {
  const options = {
    name: role,
    level,
    timestamp: stdTimeFunctions.isoTime,
    redact: { paths: secretPaths, censor: "[secret]" },
    serializers: { error: describeError, err: describeError },
  };
  return pino(options, logStream(file));
}

function logStream(file: string | undefined): DestinationStream {
  if (file !== undefined) return destination({ dest: file, mkdir: true, sync: true });
  if (process.stdout.isTTY) return pretty({ sync: true, ignore: "pid,hostname", translateTime: "SYS:HH:MM:ss" });
  return destination({ fd: 1, sync: true });
}

const secretNames = ["secretKey", "authoritySecretKey", "authToken", "password"];
const secretPaths: string[] = secretNames.flatMap((name) => [name, `*.${name}`, `*.*.${name}`]);

/** An error as a log field: code, message and the chain of causes, without stacks of expected faults. */
export function describeError(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  const { code } = error as { code?: unknown };
  return {
    name: error.name,
    ...(code === undefined ? {} : { code }),
    message: peerText(error.message, 1024),
    ...(error.cause === undefined ? {} : { cause: describeError(error.cause) }),
    ...(code === undefined ? { stack: error.stack } : {}),
  };
}

/** Text from the network made fit for a log line: control characters escaped, length limited. */
export function peerText(text: string, limit: number = MAX_PEER_TEXT): string {
  const cut = text.length > limit ? `${text.slice(0, limit)}…` : text;
  return cut.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (character) => {
    return `\\u${(character.codePointAt(0) ?? 0).toString(16).padStart(4, "0")}`;
  });
}

/** Why something ended, fit for a log line and the status: it may hold a peer's own words behind its name and address. */
export function reasonText(error: unknown): string {
  return peerText(error instanceof Error ? error.message : String(error), MAX_REASON);
}

/** Fields of a log line whose texts may come from the network, each text by {@link peerText}; reasons may be longer. */
export function peerFields(fields: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]) => {
      const limit = name === "detail" || name === "reason" ? MAX_REASON : MAX_PEER_TEXT;
      return [name, typeof value === "string" ? peerText(value, limit) : value];
    }),
  );
}
