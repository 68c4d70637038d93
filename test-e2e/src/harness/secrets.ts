import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { decodeAuthoritySecretKey } from "@adit/noise";

/** Every spelling of every secret key below a folder, by the file that keeps it. */
export function secretsBelow(folder: string): ReadonlyMap<string, readonly string[]> {
  const keys = filesBelow(folder).filter((path) => path.endsWith(".key"));
  return new Map(keys.map((path) => [path, spellings(readFileSync(path))]));
}

/** Text of every file below a folder that is no key file. */
export function textsBelow(folder: string): ReadonlyMap<string, string> {
  const files = filesBelow(folder).filter((path) => !path.endsWith(".key"));
  return new Map(files.map((path) => [path, readFileSync(path, "latin1")]));
}

/** Which texts hold which secrets, as `text: key`. */
export function leaks(secrets: ReadonlyMap<string, readonly string[]>, texts: ReadonlyMap<string, string>): string[] {
  return [...texts].flatMap(([name, text]) =>
    [...secrets].flatMap(([key, forms]) => (forms.some((form) => text.includes(form)) ? [`${name}: ${key}`] : [])),
  );
}

function filesBelow(folder: string): readonly string[] {
  const entries = readdirSync(folder, { withFileTypes: true, recursive: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
}

/** A key file holds base58check (authority), hex or 32 raw bytes (Iroh). */
function spellings(content: Buffer): readonly string[] {
  const text = content.toString("latin1").trim();
  const bytes = content.length === 32 ? content : Buffer.from(secretBytes(text));
  const raw = bytes.toString("latin1");
  return [
    ...new Set([text, raw, bytes.toString("hex"), bytes.toString("hex").toUpperCase(), bytes.toString("base64")]),
  ];
}

function secretBytes(text: string): Uint8Array {
  return /^[0-9a-f]{64}$/i.test(text) ? Buffer.from(text, "hex") : decodeAuthoritySecretKey(text);
}
