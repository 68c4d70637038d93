import { randomBytes } from "node:crypto";
import { chown, lstat, open, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { hex } from "@scure/base";
import { endpointIdOf, KEY_SIZE } from "./endpoint-id.ts";
import { createKeyFile } from "./key-file.ts";
import {
  hasCode,
  keyError,
  loadOrCreateSecretKey,
  readKey,
  readSecretFile,
  secretKeyFromEnvironment,
} from "./secret-key.ts";

/** The key that a node had before, for the time in which its endpoint id is still answered. */
export interface FormerKey {
  /** Secret. */
  readonly secretKey: Uint8Array;
  readonly endpointId: string;
  /** Until when it is answered, in unix milliseconds. */
  readonly until: number;
}

/** What a rotation has changed. */
export interface Rotation {
  /** Of the new key, which is in the key file now. */
  readonly endpointId: string;
  readonly former: Omit<FormerKey, "secretKey">;
}

/** Who a node is, and who it was until lately. */
export interface IdentityKeys {
  /** Secret. */
  readonly secretKey: Uint8Array;
  /** The former key while it is answered. */
  readonly former: FormerKey | undefined;
  /** The former endpoint id whose time was over, so that its key has been removed now. */
  readonly ended: string | undefined;
}

/**
 * The keys to start with: as {@link loadOrCreateSecretKey}, and the former key beside the key file. A key in `IROH_SECRET`
 * has no former one. Throws as both.
 */
export async function loadIdentityKeys(
  path: string,
  { env, now }: { readonly env: Readonly<Record<string, string | undefined>>; readonly now: number },
): Promise<IdentityKeys> {
  const secretKey = await loadOrCreateSecretKey(path, env);
  if (secretKeyFromEnvironment(env) !== undefined) return { secretKey, former: undefined, ended: undefined };
  const former = await formerKeyOf(path);
  if (former !== undefined && former.until <= now) {
    await endRotation(path);
    return { secretKey, former: undefined, ended: former.endpointId };
  }
  // A rotation that was broken off before the new key was in place has changed nothing.
  const isBroken = former?.endpointId === endpointIdOf(secretKey);
  return { secretKey, former: isBroken ? undefined : former, ended: undefined };
}

/**
 * Puts a new key into the key file at `path`, and the one that was there beside it, in `PATH.former`, where nodes find it
 * until the overlap is over (requirement A6). Both are written aside first, so that whenever it is broken off the key file
 * holds one of the two; called again it completes what was begun. Files keep the owner of the key file.
 *
 * Throws NetworkError "invalid-config" when there is no key, or a former one that is still answered; errors of the file
 * system as they are.
 */
export async function rotateKey(
  path: string,
  { overlapMs, now }: { readonly overlapMs: number; readonly now: number },
): Promise<Rotation> {
  const old = await keyToRotate(path);
  const oldId = endpointIdOf(old);
  const former = await formerKeyOf(path);
  if (former !== undefined && former.endpointId !== oldId && former.until > now) {
    const until = new Date(former.until).toISOString();
    throw keyError(
      `${path} was rotated before, and the former endpoint id ${former.endpointId} is answered until ${until}; end that first with --finish`,
    );
  }
  const { uid, gid } = await lstat(path);
  const keep = async (file: string, text: string): Promise<void> => {
    await rm(file, { force: true });
    await createKeyFile(file, text);
    await chown(file, uid, gid);
  };
  const key = new Uint8Array(randomBytes(KEY_SIZE));
  const until = now + overlapMs;
  await keep(`${path}.next`, `${hex.encode(key)}\n`);
  await keep(formerPath(path), `${hex.encode(old)}\nuntil ${new Date(until).toISOString()}\n`);
  await rename(`${path}.next`, path);
  await syncFolder(dirname(path));
  return { endpointId: endpointIdOf(key), former: { endpointId: oldId, until } };
}

/** Removes the former key of the key file at `path`, if there is one: its endpoint id is answered no more. */
export async function endRotation(path: string): Promise<FormerKey | undefined> {
  const former = await formerKeyOf(path);
  await rm(formerPath(path), { force: true });
  await syncFolder(dirname(path));
  return former;
}

/**
 * The former key of the key file at `path`, whether or not its time is over; undefined when there is none. Throws
 * NetworkError "invalid-config" for a file that others can access or that holds something else.
 */
export async function formerKeyOf(path: string): Promise<FormerKey | undefined> {
  const file = formerPath(path);
  const content = await readSecretFile(file);
  if (content === undefined) return undefined;
  const [, digits, date] = /^([0-9a-f]{64})\nuntil (\S+)\n$/.exec(new TextDecoder().decode(content)) ?? [];
  const until = Date.parse(date ?? "");
  if (digits === undefined || Number.isNaN(until)) {
    throw keyError(
      `${file} holds no former Iroh key; restore it, or remove it to answer under the new endpoint id only`,
    );
  }
  const secretKey = hex.decode(digits);
  return { secretKey, endpointId: endpointIdOf(secretKey), until };
}

function formerPath(path: string): string {
  return `${path}.former`;
}

async function keyToRotate(path: string): Promise<Uint8Array> {
  const isLink = await lstat(path).then(
    (file) => file.isSymbolicLink(),
    (error: unknown) => {
      if (hasCode(error, "ENOENT")) return false;
      throw error;
    },
  );
  if (isLink) throw keyError(`${path} is a symbolic link, which would be replaced; give the file it points to`);
  const key = await readKey(path);
  if (key === undefined)
    throw keyError(`${path} does not exist: there is no key to rotate; a role makes one at its first start`);
  return key;
}

/** A rename is lost with the power unless its folder is written, too. */
async function syncFolder(folder: string): Promise<void> {
  if (process.platform === "win32") return;
  const handle = await open(folder);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
