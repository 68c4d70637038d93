import { randomBytes } from "node:crypto";
import { mkdir, readFile, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { createKeyFile } from "@adit/network-helpers";
import {
  authorityPublicKey,
  DEMO_AUTHORITY_PUBLIC_KEY,
  decodeAuthoritySecretKey,
  encodeAuthorityPublicKey,
  encodeAuthoritySecretKey,
} from "@adit/noise";
import type { AuthoritySettings } from "@adit/role-kit";

/** The key that signs a server's Noise certificates. */
export interface Authority {
  /** 32 bytes. Never logged. */
  readonly secretKey: Uint8Array;
  /** Base58check, as miners are given it. */
  readonly publicKey: string;
}

/**
 * Loads the authority key a config names, making it at first start.
 *
 * @throws Error when the file is readable by others, holds no key, does not fit the public key beside it, or is the
 *   pair that the reference implementation's examples publish.
 */
export async function loadAuthority(settings: AuthoritySettings): Promise<Authority> {
  const { authorityKeyPath, authoritySecretKey, authorityPublicKey: expected } = settings;
  const text = authoritySecretKey ?? (await loadOrCreate(authorityKeyPath ?? "authority.key"));
  const secretKey = decodeAuthoritySecretKey(text.trim());
  const publicKey = encodeAuthorityPublicKey(authorityPublicKey(secretKey));
  if (publicKey === DEMO_AUTHORITY_PUBLIC_KEY) {
    throw new Error(
      "this authority key pair is published in the reference implementation's examples: anybody can sign with it; " +
        "make one of your own with `adit keys generate` or set authority_key_path",
    );
  }
  if (expected !== undefined && expected !== publicKey) {
    throw new Error(
      `authority_public_key ${expected} does not belong to the secret key, whose public key is ${publicKey}`,
    );
  }
  return { secretKey, publicKey };
}

/** A new authority key pair in base58check. */
export function generateAuthority(): { readonly publicKey: string; readonly secretKey: string } {
  for (;;) {
    const secret = new Uint8Array(randomBytes(32));
    try {
      return {
        publicKey: encodeAuthorityPublicKey(authorityPublicKey(secret)),
        secretKey: encodeAuthoritySecretKey(secret),
      };
    } catch {
      // One draw in 2^128 is no key; draw again.
    }
  }
}

async function loadOrCreate(path: string): Promise<string> {
  try {
    const { mode } = await stat(path);
    if ((mode & 0o077) !== 0) throw new Error(`${path} can be read by other users; run: chmod 600 ${path}`);
    return await readFile(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
  const { secretKey } = generateAuthority();
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  await createKeyFile(path, `${secretKey}\n`);
  return secretKey;
}
