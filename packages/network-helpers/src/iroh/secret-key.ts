import { randomBytes } from "node:crypto";
import { constants } from "node:fs";
import { type FileHandle, mkdir, open } from "node:fs/promises";
import { dirname } from "node:path";
import { hex } from "@scure/base";
import { NetworkError } from "../errors.ts";
import { decodeKey, KEY_SIZE } from "./endpoint-id.ts";
import { createKeyFile } from "./key-file.ts";

/** Environment variable that holds the secret key itself, as 64 hex digits or base32. */
const SECRET_VARIABLE = "IROH_SECRET";

/** More than a hex key with white space around it. */
const MAX_FILE = 256;

/** The key in `IROH_SECRET`, undefined when unset or empty. Throws NetworkError "invalid-config" when it is no key. */
export function secretKeyFromEnvironment(env: Readonly<Record<string, string | undefined>>): Uint8Array | undefined {
  const text = env[SECRET_VARIABLE]?.trim();
  if (text === undefined || text === "") return undefined;
  const key = decodeKey(text);
  if (key === undefined)
    throw keyError(`${SECRET_VARIABLE} is set but is not 64 hex digits or 52 base32 characters; correct or unset it`);
  return key;
}

/**
 * The node's 32-byte secret key: from `IROH_SECRET` in `env` when set, else from the file at `path` (32 raw bytes or 64
 * hex digits), which is made with a new random key, mode 0600, together with its folder (mode 0700) when missing. Two
 * processes that start at once end up with the same key. Throws NetworkError "invalid-config" for a file that others can
 * read or that holds no key, "node-initialisation" when it cannot be read or made.
 */
export async function loadOrCreateSecretKey(
  path: string,
  env: Readonly<Record<string, string | undefined>>,
): Promise<Uint8Array> {
  const fromEnvironment = secretKeyFromEnvironment(env);
  if (fromEnvironment !== undefined) return fromEnvironment;
  try {
    return (await readKey(path)) ?? (await createKey(path));
  } catch (cause) {
    if (cause instanceof NetworkError) throw cause;
    const message = `cannot read or make the Iroh key file ${path}; check the folder's owner and free space`;
    throw new NetworkError("node-initialisation", { peer: "", message, cause });
  }
}

/** The key in a file; undefined when there is no such file. Throws as {@link loadOrCreateSecretKey}. */
export async function readKey(path: string): Promise<Uint8Array | undefined> {
  const content = await readSecretFile(path);
  if (content === undefined) return undefined;
  const key = parseKey(content);
  if (key !== undefined) return key;
  throw keyError(`${path} holds no Iroh key (32 bytes or 64 hex digits); restore it, or remove it for a new identity`);
}

/**
 * The first bytes of a file that nobody else can access, more than any secret has; undefined when there is no such file.
 * Throws NetworkError "invalid-config" when others can access it, and errors of the file system as they are.
 */
export async function readSecretFile(path: string): Promise<Uint8Array | undefined> {
  let file: FileHandle;
  try {
    file = await open(path, constants.O_RDONLY);
  } catch (error) {
    if (hasCode(error, "ENOENT")) return undefined;
    throw error;
  }
  try {
    const { mode } = await file.stat();
    // Windows has no such bits.
    if (process.platform !== "win32" && (mode & 0o077) !== 0) {
      throw keyError(
        `others can access the Iroh key file ${path}; run "chmod 600 ${path}", or remove it for a new identity`,
      );
    }
    const { bytesRead, buffer } = await file.read(new Uint8Array(MAX_FILE), 0, MAX_FILE, 0);
    return buffer.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}

/** 32 raw bytes or 64 hex digits with white space around; undefined for anything else. */
function parseKey(content: Uint8Array): Uint8Array | undefined {
  if (content.length === KEY_SIZE) return content.slice();
  const text = new TextDecoder().decode(content).trim();
  return /^[0-9a-f]{64}$/i.test(text) ? hex.decode(text.toLowerCase()) : undefined;
}

async function createKey(path: string): Promise<Uint8Array> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const key = new Uint8Array(randomBytes(KEY_SIZE));
  try {
    await createKeyFile(path, `${hex.encode(key)}\n`);
    return key;
  } catch (error) {
    const existing = hasCode(error, "EEXIST") ? await readKey(path) : undefined;
    if (existing === undefined) throw error;
    return existing;
  }
}

/** Whether an error is the file system's of this code. */
export function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}

/** The error for a key that cannot be used as it is. */
export function keyError(message: string): NetworkError {
  return new NetworkError("invalid-config", { peer: "", message });
}
