import { once } from "node:events";
import { createServer } from "node:net";

/** Below the ports that systems hand out to connections: such a port stays free while its server is down. */
const LOWEST = 20_000;
const HIGHEST = 32_000;
const TRIES = 50;

const given = new Set<number>();

/** A port of 127.0.0.1 that was free a moment ago, another one each time, for programs that take no port 0. */
export async function freePort(): Promise<number> {
  for (let left = TRIES; left > 0; left -= 1) {
    const port = LOWEST + Math.floor(Math.random() * (HIGHEST - LOWEST));
    if (given.has(port) || !(await isFree(port))) continue;
    given.add(port);
    return port;
  }
  throw new Error(`none of ${TRIES} ports from ${LOWEST} to ${HIGHEST} is free`);
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer().listen(port, "127.0.0.1");
  try {
    await once(server, "listening");
  } catch {
    return false;
  }
  server.close();
  await once(server, "close");
  return true;
}
