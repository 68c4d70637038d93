import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { StoredInput } from "./input-form.ts";

/** An input that once broke a rule, as it is kept. */
export interface Finding extends StoredInput {
  /** Which target. */
  readonly target: string;
  /** Seed of the search that found it. */
  readonly seed: number;
  /** What went wrong then. */
  readonly fault: string;
  /** The input for people; not read back. */
  readonly shown: string;
}

/** Where findings are kept for good: each is a regression test. */
export const findingsFolder: string = fileURLToPath(new URL("./findings/", import.meta.url));

/** Writes a finding and returns its file. The same input has the same file. */
export function writeFinding(folder: string, finding: Finding): string {
  mkdirSync(folder, { recursive: true });
  const name = createHash("sha256").update(finding.input).digest("hex").slice(0, 12);
  const path = join(folder, `${finding.target}-${name}.json`);
  writeFileSync(path, `${JSON.stringify(finding, null, 2)}\n`);
  return path;
}

/** The findings in a folder, by the names of their files. */
export function readFindings(folder: string = findingsFolder): ReadonlyMap<string, Finding> {
  const names = readdirSync(folder).filter((name) => name.endsWith(".json"));
  return new Map(
    names.toSorted().map((name) => [name, JSON.parse(readFileSync(join(folder, name), "utf8")) as Finding]),
  );
}
