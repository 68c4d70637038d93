import { processLines } from "../harness/process-lines.ts";
import { peerBinary } from "./peer-binary.ts";

/** Runs a program built from test-e2e/interop and yields its lines; see {@link processLines}. */
export async function* peerLines(
  program: string,
  args: readonly string[],
  input?: Iterable<string>,
): AsyncGenerator<string, void, undefined> {
  yield* processLines(peerBinary(program), args, input);
}

/** {@link peerLines} for lines of JSON. */
export async function* peerValues<T>(
  program: string,
  args: readonly string[],
  input?: Iterable<string>,
): AsyncGenerator<T, void, undefined> {
  for await (const line of peerLines(program, args, input)) yield JSON.parse(line) as T;
}
