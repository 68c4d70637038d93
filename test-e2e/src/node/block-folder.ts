import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { until } from "../harness/until.ts";

/** What is written beside a block's file once a node has judged the block. */
export interface WrittenOutcome {
  readonly height: number;
  readonly hash: string;
  readonly outcome: string;
  /** What each node said, by its name. */
  readonly nodes: Readonly<Record<string, string>>;
}

/** A block's file. */
export interface BlockFile {
  readonly height: number;
  /** Displayed order. */
  readonly hash: string;
  /** The block as `submitblock` takes it. */
  readonly hex: string;
  /** Undefined before any node has judged the block. */
  readonly outcome: WrittenOutcome | undefined;
}

/** The blocks that a template provider has written down, as an operator finds them. */
export class BlockFolder {
  readonly #path: string;

  /** @param dataPath `data_path` of its `[bitcoin_node]` */
  constructor(dataPath: string) {
    this.#path = join(dataPath, "blocks");
  }

  /** All of them, lowest first. */
  files(): readonly BlockFile[] {
    return readdirSync(this.#path)
      .filter((name) => name.endsWith(".hex"))
      .map((name) => this.#read(name))
      .toSorted((one, other) => one.height - other.height);
  }

  /** Resolves to what became of a block, once that is the outcome given. */
  async outcome(hash: string, outcome: string): Promise<WrittenOutcome> {
    return await until(`block ${hash} is ${outcome}`, () => {
      const written = this.files().find((file) => file.hash === hash)?.outcome;
      return written?.outcome === outcome && written;
    });
  }

  #read(name: string): BlockFile {
    const [height = "", hash = ""] = name.replace(".hex", "").split("-");
    const path = join(this.#path, name);
    return { height: Number(height), hash, hex: readFileSync(path, "utf8").trim(), outcome: outcomeBeside(path) };
  }
}

function outcomeBeside(path: string): WrittenOutcome | undefined {
  try {
    return JSON.parse(readFileSync(path.replace(/hex$/, "json"), "utf8")) as WrittenOutcome;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}
