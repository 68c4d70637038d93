import { createRequire } from "node:module";
import { pureHashing, type ShareHashing } from "@adit/bitcoin";
import { type NoiseCrypto, pureCrypto } from "@adit/noise";
import { probeSecp256k1, probeSodium } from "./probe.ts";
import { type Secp256k1, secp256k1Noise } from "./secp256k1.ts";
import { type SodiumNative, sodiumHashing, sodiumNoise } from "./sodium.ts";

/** sodium-native is a CommonJS package without types. */
const require = createRequire(import.meta.url);

/** The cryptography a process runs on. */
export interface LoadedCrypto {
  /** For handshakes and sessions. */
  readonly noise: NoiseCrypto;
  /** For shares. */
  readonly hashing: ShareHashing;
  /** Which libraries do the work, and why others do not, for the log. */
  readonly report: string;
}

/** A library that was insisted on does not load, or computes wrongly; the message names it and says why. */
export class FastCryptoError extends Error {
  override readonly name = "FastCryptoError";
  /** What went wrong, stable for programs. */
  readonly code = "library-unavailable" as const;
}

/**
 * Loads sodium-native and tiny-secp256k1 as far as they are installed, load and compute rightly, and takes @noble and
 * @scure for the rest. `force: "pure"` loads neither; `force: "fast"` rejects with FastCryptoError unless both load.
 */
export async function loadCrypto(options: { readonly force?: "pure" | "fast" } = {}): Promise<LoadedCrypto> {
  if (options.force === "pure") return { noise: pureCrypto, hashing: pureHashing, report: "pure: as asked for" };
  const libraries = await loadLibraries();
  if (options.force === "fast") expectBoth(libraries);
  return assembleCrypto(libraries);
}

/** A library that proved itself, or why there is none. */
export type Library<T> =
  | { readonly kind: "loaded"; readonly library: T }
  | { readonly kind: "missing"; readonly reason: string };

/** Both libraries, each with or without success. */
interface Libraries {
  readonly sodium: Library<SodiumNative>;
  readonly secp256k1: Library<Secp256k1>;
}

/** Tries to load both libraries. Never rejects. */
export async function loadLibraries(): Promise<Libraries> {
  const [sodium, secp256k1] = await Promise.all([
    loadLibrary("sodium-native", () => require("sodium-native") as SodiumNative, probeSodium),
    loadLibrary("tiny-secp256k1", () => import("tiny-secp256k1"), probeSecp256k1),
  ]);
  return { sodium, secp256k1 };
}

/** Loads one library and lets `probe` compute with it, which throws when a result is wrong. Never rejects. */
export async function loadLibrary<T>(
  name: string,
  load: () => Promise<T> | T,
  probe: (library: T) => void,
): Promise<Library<T>> {
  try {
    const library = await load();
    probe(library);
    return { kind: "loaded", library };
  } catch (error) {
    const [firstLine = ""] = String(error instanceof Error ? error.message : error).split("\n");
    return { kind: "missing", reason: `${name} did not load: ${firstLine.slice(0, 200)}` };
  }
}

/** Throws FastCryptoError, with the reasons, unless both libraries are there. */
export function expectBoth(libraries: Libraries): void {
  const missing = Object.values(libraries).filter((library) => library.kind === "missing");
  if (missing.length === 0) return;
  const reasons = missing.map(({ reason }) => reason).join("; ");
  throw new FastCryptoError(`fast cryptography was asked for, but ${reasons}`);
}

/** Puts the loaded libraries over the pure cryptography, piece by piece. */
export function assembleCrypto({ sodium, secp256k1 }: Libraries): LoadedCrypto {
  const names: string[] = [];
  const reasons: string[] = [];
  let noise: NoiseCrypto = pureCrypto;
  let hashing: ShareHashing = pureHashing;
  if (sodium.kind === "loaded") {
    names.push("sodium-native");
    noise = { ...noise, ...sodiumNoise(sodium.library) };
    hashing = sodiumHashing(sodium.library);
  } else reasons.push(sodium.reason);
  if (secp256k1.kind === "loaded") {
    names.push("tiny-secp256k1");
    noise = { ...noise, ...secp256k1Noise(secp256k1.library) };
  } else reasons.push(secp256k1.reason);
  if (reasons.length > 0) names.push("pure");
  const name = names.join(" + ");
  return { noise: { ...noise, name }, hashing, report: reasons.length > 0 ? `${name}: ${reasons.join("; ")}` : name };
}
