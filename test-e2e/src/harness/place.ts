import { once } from "node:events";
import { get, type IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import { text } from "node:stream/consumers";

/** Where processes of a scenario run when that is not this machine's own network. */
export interface Place {
  /** What a command line begins with to be run there. */
  readonly prefix: readonly string[];
  /** Connects to a port of that place's loopback. The socket is of that place, and used here. */
  connect(port: number): Promise<Socket>;
}

/** What `fetch` does, from a place. */
export async function fetchFrom(place: Place, address: string, signal: AbortSignal): Promise<Response> {
  const { port, pathname: path, host } = new URL(address);
  const socket = await place.connect(Number(port));
  const request = get({ path, headers: { host }, createConnection: () => socket, signal });
  const [response] = (await once(request, "response")) as [IncomingMessage];
  return new Response(await text(response), { status: response.statusCode ?? 0 });
}
