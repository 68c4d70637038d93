import { spawn } from "node:child_process";
import { once } from "node:events";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";

const CHUNK = 65_536;

/** Lines to give to a program. */
export type Lines = Iterable<string> | AsyncIterable<string>;

/**
 * Runs a program and yields its lines. It waits while they are not taken, and is given input no faster than it takes it, so
 * that neither side ever holds all of it. Throws when the program or `input` fails.
 */
export async function* processLines(
  path: string,
  args: readonly string[],
  input: Lines = [],
): AsyncGenerator<string, void, undefined> {
  const child = spawn(path, args, { stdio: ["pipe", "pipe", "pipe"] });
  const exited = once(child, "exit");
  let complaint = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    complaint = (complaint + text).slice(-4096);
  });
  const fed = pipeline(Readable.from(chunksOf(input), { objectMode: true, highWaterMark: 1 }), child.stdin);
  let fault: NodeJS.ErrnoException | undefined;
  fed.catch((cause: NodeJS.ErrnoException) => {
    fault = cause;
    child.stdout.destroy();
  });
  let isLeft = true;
  try {
    yield* linesOf(child.stdout);
    isLeft = false;
  } catch (cause) {
    // A program that died broke the pipe; its exit code says more.
    if (fault?.code !== "EPIPE") throw fault ?? cause;
    isLeft = false;
  } finally {
    if (isLeft) child.kill();
  }
  const [code] = await exited;
  if (code !== 0) throw new Error(`${[path, ...args].join(" ")} failed with ${code}: ${complaint}`);
  await fed;
}

async function* chunksOf(lines: Lines): AsyncGenerator<string, void, undefined> {
  let chunk = "";
  for await (const line of lines) {
    chunk += `${line}\n`;
    if (chunk.length < CHUNK) continue;
    yield chunk;
    chunk = "";
  }
  if (chunk !== "") yield chunk;
}

async function* linesOf(source: AsyncIterable<Buffer>): AsyncGenerator<string, void, undefined> {
  let parts: Buffer[] = [];
  for await (const chunk of source) {
    let start = 0;
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, start)) {
      parts.push(chunk.subarray(start, end));
      yield Buffer.concat(parts).toString("utf8");
      parts = [];
      start = end + 1;
    }
    parts.push(chunk.subarray(start));
  }
}
