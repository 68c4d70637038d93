import { deserialize, serialize } from "node:v8";
import fc from "fast-check";

/** An input as it is kept: bytes as they are, a sequence of steps as a structured clone. */
export interface StoredInput {
  readonly form: "bytes" | "steps";
  /** Lower-case hex. */
  readonly input: string;
}

/** What an input is stored as. */
export function storedInput(input: unknown): StoredInput {
  const isBytes = input instanceof Uint8Array;
  const bytes = isBytes ? input : serialize(input);
  return { form: isBytes ? "bytes" : "steps", input: Buffer.from(bytes).toString("hex") };
}

/** The input that was stored. */
export function inputOf({ form, input }: StoredInput): unknown {
  const bytes = Buffer.from(input, "hex");
  return form === "bytes" ? new Uint8Array(bytes) : deserialize(bytes);
}

/** An input for people to read. */
export function shownInput(input: unknown): string {
  const text =
    input instanceof Uint8Array ? JSON.stringify(Buffer.from(input).toString("latin1")) : fc.stringify(input);
  return text.length > 2_000 ? `${text.slice(0, 2_000)} …` : text;
}
