import { lookup } from "node:dns/promises";
import { NetworkError } from "../errors.ts";
import { orAbort } from "./or-abort.ts";
import { formatSocketAddress, parseSocketAddress, type SocketAddress } from "./socket-address.ts";
import { MAX_ADDRESSES } from "./ticket.ts";

/**
 * Turns names among `addresses` into IP addresses; iroh takes none. Asked before each dial, since answers change. Rejects
 * with the signal's reason, or with NetworkError "peer-discovery-failed" when some are `needed` and none is left.
 */
export async function resolveAddresses(
  addresses: readonly string[],
  { signal, needed }: { readonly signal: AbortSignal; readonly needed: boolean },
): Promise<readonly string[]> {
  const sockets = addresses.map(parseSocketAddress).filter((socket) => socket !== undefined);
  const answers = Promise.allSettled(sockets.map(resolveOne));
  const results = await orAbort(answers, signal, () => undefined);
  const resolved = results.flatMap((result) => (result.status === "fulfilled" ? result.value : []));
  if (needed && resolved.length === 0 && addresses.length > 0) {
    const cause: unknown = results.find((result) => result.status === "rejected")?.reason;
    const peer = addresses.join(", ");
    const message = `${peer}: the name does not resolve; check it, or give the peer's IP address`;
    throw new NetworkError("peer-discovery-failed", { peer, message, cause });
  }
  return [...new Set(resolved)].slice(0, MAX_ADDRESSES);
}

async function resolveOne(socket: SocketAddress): Promise<readonly string[]> {
  if (socket.family !== "name") return [formatSocketAddress(socket)];
  const answers = await lookup(socket.host, { all: true });
  return answers.map(({ address, family }) =>
    formatSocketAddress({ family: family === 6 ? "ipv6" : "ipv4", host: address, port: socket.port }),
  );
}
